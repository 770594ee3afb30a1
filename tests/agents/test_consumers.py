"""A socket of the events dialect whose client does not read."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, cast

from agents.connections import Connections
from agents.consumers import EventsConsumer
from agents.entries import Logged
from agents.outbox import MOST_CONTROL
from agents.ports import SessionPort

ECHO = Logged(
    "s",
    2,
    "user.message",
    "",
    datetime.now(UTC),
    json.dumps({"content": "x" * 256 * 1024, "metadata": {"message_id": "m"}}).encode(),
)


class Unread:
    """The server's side of a client that reads nothing: only last words are taken off its hands."""

    def __init__(self) -> None:
        self.last: list[dict[str, Any]] = []
        self.offered = asyncio.Event()
        self._is_connected = False
        self._never = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._is_connected:
            await self._never.wait()
        self._is_connected = True
        return {"type": "websocket.connect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message.get("is_last") or message["type"] == "websocket.close":
            self.last.append(message)
        elif message["type"] == "websocket.send":
            self.offered.set()
            await self._never.wait()


class Nobody:
    """A port at which nothing is asked for."""

    def detach(self, socket: Any, session_id: str | None = None) -> None:
        pass


async def test_a_client_that_asks_for_large_echoes_and_reads_none_is_sent_away() -> None:
    peer = Unread()
    scope = {"path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    port = cast(SessionPort, Nobody())
    socket = EventsConsumer(scope, peer.receive, peer.send, port, Connections("test"))
    life = asyncio.create_task(socket.run())
    async with asyncio.timeout(30):
        await peer.offered.wait()
        for _ in range(MOST_CONTROL // len(ECHO.frame) + 1):
            socket.push_frame(ECHO.as_duplicate())
        await life
    word, close = peer.last
    assert json.loads(word["text"])["metadata"]["code"] == "slow_client"
    assert close["code"] == 4008
