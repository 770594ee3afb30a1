"""A program that talks over REST: requests, and streams that can be cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

Json = dict[str, Any]

PATIENCE = aiohttp.ClientTimeout(total=60)


@dataclass
class Stream:
    """What a stream has sent so far. `ids` are those of its events, in order."""

    response: aiohttp.ClientResponse
    events: list[Json] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    async def until(self, event: str) -> Json:
        """The next event of this kind."""
        while (found := await self.next()) is not None:
            if found["event"] == event:
                return found
        raise AssertionError(f"the stream ended without {event}: {self.events}")

    async def next(self) -> Json | None:
        """The next event; None once the stream has ended."""
        given: dict[str, str] = {}
        async for line in self.response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name in ("id", "data"):
                given[name] = value
            elif not name and "data" in given:
                event: Json = json.loads(given["data"])
                self.events.append(event)
                assert event.get("seq") == (int(given["id"]) if "id" in given else None)
                if "id" in given:
                    self.ids.append(int(given["id"]))
                return event
        return None

    def cut(self) -> None:
        """Ends the connection, as a network that fails does."""
        connection = self.response.connection
        assert connection is not None and connection.transport is not None
        connection.transport.abort()


class RestClient:
    """`base`: the address of the site."""

    def __init__(self, base: str) -> None:
        self._base = f"{base}/api/v1/"
        self._session = aiohttp.ClientSession(timeout=PATIENCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, Any]:
        """The status and the JSON of the answer."""
        async with self._session.request(method, self._base + path, json=body) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def begin(self, service: str) -> str:
        status, session = await self.ask("POST", "sessions", {"service": service})
        assert status == 201, session
        return str(session["session_id"])

    async def say(
        self, session: str, content: str, *, wait: int = 60, **more: Any
    ) -> tuple[int, Any]:
        body = {"content": content} | more
        return await self.ask("POST", f"sessions/{session}/messages?wait={wait}", body)

    async def events(self, session: str) -> list[Json]:
        """The whole log, as REST shows it, in small pages."""
        found: list[Json] = []
        cursor, end = 0, 1
        while cursor < end:
            status, page = await self.ask(
                "GET", f"sessions/{session}/events?after={cursor}&limit=2"
            )
            assert status == 200, page
            found += page["items"]
            cursor, end = page["cursor"], page["last_seq"]
        return found

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Stream]:
        accept = {"Accept": "text/event-stream"} | dict(headers or {})
        async with self._session.request(
            method, self._base + path, json=body, headers=accept
        ) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            yield Stream(answer)


async def in_time(waited: Any) -> Any:
    async with asyncio.timeout(60):
        return await waited
