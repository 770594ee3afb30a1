"""Who looks at the site meanwhile: viewers of all traces, and programs that read over REST."""

from __future__ import annotations

import asyncio
import random
import ssl
import time

import aiohttp
import orjson
from websockets.asyncio.client import ClientConnection, connect

from bench.site.record import Diary, LostError
from bench.site.seats import FIRST_PAUSE_S, GONE, Address, RefusedError, name_of

PATHS = (
    "/health",
    "/api/v1/services",
    "/api/v1/stats",
    "/api/v1/sessions",
    "/api/v1/traces",
    "/api/v1/connections",
)
ANSWER_S = 20.0


class TraceViewer:
    """Watches all traces, and goes on from its cursor after a loss. `ended`: runs told as over."""

    def __init__(self, address: Address, diary: Diary) -> None:
        self.ended: set[str] = set()
        self._address = address
        self._diary = diary
        self._ids: set[str] = set()
        self._cursor = ""

    async def live(self) -> None:
        while True:
            try:
                since = f"?since={self._cursor}" if self._cursor else ""
                async with connect(
                    self._address.url + since,
                    additional_headers=self._address.credentials,
                    compression=None,
                    max_size=None,
                    close_timeout=2,
                ) as socket:
                    await self._read(socket)
            except (*GONE, RefusedError) as error:
                self._diary.refusals[f"viewer: {name_of(error)}"] += 1
                await asyncio.sleep(FIRST_PAUSE_S)

    async def _read(self, socket: ClientConnection) -> None:
        on_this_socket: set[str] = set()
        while True:
            frame = orjson.loads(await socket.recv())
            if frame["event_type"] == "run_error" and frame["data"]["trace_id"] is None:
                raise RefusedError(frame["data"]["error_type"])
            self._cursor = frame["cursor"] or self._cursor
            id_ = frame["message_id"]
            if id_ in on_this_socket and frame["event_type"] != "status_update":
                raise LostError(f"told twice on one socket: {frame}")
            on_this_socket.add(id_)
            if frame["event_type"] == "trace_completed":
                self.ended.add(frame["data"]["trace_id"])

    async def see(self, runs: set[str], patience_s: float) -> None:
        """Until it has been told that these are over; `live` has to go on meanwhile."""
        deadline = time.monotonic() + patience_s
        while left := runs - self.ended:
            if time.monotonic() > deadline:
                raise LostError(f"a viewer was never told the end of {len(left)} runs: {left}")
            await asyncio.sleep(0.1)


class Reader:
    """A program that reads the site's state again and again, and notes how that went."""

    def __init__(self, address: Address, diary: Diary, dice: random.Random, pause_s: float) -> None:
        self._address = address
        self._diary = diary
        self._dice = dice
        self._pause_s = pause_s

    async def live(self, is_over: asyncio.Event) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
        async with aiohttp.ClientSession(
            self._address.url,
            headers=self._address.credentials,
            timeout=timeout,
            connector=connector,
        ) as http:
            while not is_over.is_set():
                await self._read(http, self._dice.choice(PATHS))
                await asyncio.sleep(self._dice.expovariate(1 / self._pause_s))

    async def _read(self, http: aiohttp.ClientSession, path: str) -> None:
        began, status = time.perf_counter(), 0
        try:
            async with http.get(path) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            pass  # A status of 0 says so.
        self._diary.reads.append((path, status, began, time.perf_counter() - began))
