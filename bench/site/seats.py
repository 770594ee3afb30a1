"""A client's place in a conversation: it outlives sockets, and writes down all that came."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from bench.site.record import Account, Diary
from tests.recording import Frame

SILENCE_S = 60.0
"""A socket that brings nothing for so long, not even a heartbeat, is given up."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between a client's attempts: doubled each time."""

GONE = (OSError, WebSocketException, TimeoutError)


class RefusedError(Exception):
    """The server did not do what was asked for, and says that it may be asked again."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a client comes in, and the headers that prove who it is."""

    url: str
    credentials: Mapping[str, str]


class Seat:
    """One client's place in one conversation at a time: it outlives its sockets."""

    def __init__(self, address: Address, diary: Diary) -> None:
        self.account = Account("")
        self._address = address
        self._diary = diary
        self._socket: ClientConnection | None = None

    async def begin(self) -> None:
        """A new conversation. One whose beginning was not told is left to the site."""
        await self._try(self._create)

    async def join(self, session_id: str) -> None:
        self.account = self._diary.open(session_id)
        await self._try(self._resume)

    async def come_back(self) -> None:
        """A new socket that has replayed what was missed."""
        await self._try(self._resume)

    async def send(self, event: str, **fields: Any) -> None:
        assert self._socket is not None
        frame = {"event": event, **fields}
        if self.account.session_id:
            frame["session_id"] = self.account.session_id
        await self._socket.send(orjson.dumps(frame).decode())

    async def receive(self) -> Frame:
        """Raises `RefusedError`, and `GONE` when the socket has ended."""
        assert self._socket is not None
        async with asyncio.timeout(SILENCE_S):
            frame: Frame = orjson.loads(await self._socket.recv())
        self.account.note(frame)
        if frame["event"] == "system.error":
            assert frame["metadata"]["retryable"], frame
            self._diary.refusals[frame["metadata"]["code"]] += 1
            raise RefusedError(frame["metadata"]["code"])
        return frame

    def cut(self) -> None:
        """As a network that fails does."""
        if self._socket is not None:
            self._diary.drops += 1
            self._socket.transport.abort()

    async def leave(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    def note_loss(self, error: BaseException) -> None:
        self._diary.refusals[name_of(error)] += 1

    async def _try(self, step: Callable[[], Awaitable[None]]) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._dial()
                await step()
                return
            except (*GONE, RefusedError) as error:
                if not isinstance(error, RefusedError):
                    self.note_loss(error)
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _dial(self) -> None:
        await self.leave()
        self._socket = await connect(
            self._address.url,
            additional_headers=self._address.credentials,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=2,
        )

    async def _create(self) -> None:
        self.account = Account("")
        await self.send("user.create_session")
        while (frame := await self.receive())["event"] != "agent.session_created":
            pass
        self.account = self._diary.open(frame["session_id"])
        self.account.note(frame)

    async def _resume(self) -> None:
        await self.send("user.reconnect", metadata={"last_seq": self.account.last_seq})
        while (await self.receive())["event"] != "agent.replay_complete":
            pass


async def read_on(seat: Seat) -> None:
    """One more frame, or the way back to where frames come."""
    try:
        await seat.receive()
    except RefusedError:
        await seat.come_back()
    except GONE as error:
        seat.note_loss(error)
        await seat.come_back()


def name_of(error: BaseException) -> str:
    """How a refusal or a loss is counted."""
    if isinstance(error, RefusedError):
        return str(error)
    if isinstance(error, ConnectionClosed):
        return f"closed {error.rcvd.code if error.rcvd else 1006}"
    if isinstance(error, InvalidStatus):
        return f"handshake {error.response.status_code}"
    return type(error).__name__
