"""Clients that take turns and accept nothing but the right answer."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Protocol, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect

TURN_S = 60.0
TERMINAL = frozenset({"agent.final_answer", "agent.error", "agent.interrupted", "agent.timeout"})


class TurnLostError(Exception):
    """A turn did not come to the answer that it had to come to."""


class Client(Protocol):
    """One conversation over one socket."""

    @classmethod
    async def open(cls, url: str, source: str | None = None) -> Self:
        """`source`: the address that it connects from."""

    async def turn(self) -> None:
        """One message and its whole answer. Raises `TurnLostError`, `TimeoutError`."""

    async def close(self) -> None: ...


async def _connect(url: str, source: str | None = None) -> ClientConnection:
    local = {"local_addr": (source, 0)} if source else {}
    return await connect(
        url, compression=None, max_size=None, ping_interval=None, open_timeout=TURN_S, **local
    )


class _Conversation:
    """Counts its turns, so that no two messages are alike."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._numbers = itertools.count(1)

    def next_message(self) -> str:
        return f"Message {next(self._numbers)}: what shall I wear in Shanghai tomorrow?"

    async def close(self) -> None:
        await self.socket.close()


class EchoClient(_Conversation):
    """Talks to the bare echo."""

    @classmethod
    async def open(cls, url: str, source: str | None = None) -> Self:
        return cls(await _connect(url, source))

    async def turn(self) -> None:
        message = self.next_message()
        async with asyncio.timeout(TURN_S):
            await self.socket.send(message)
            if await self.socket.recv() != message:
                raise TurnLostError(message)


class PlainClient(_Conversation):
    """Talks to the hand-written apps."""

    @classmethod
    async def open(cls, url: str, source: str | None = None) -> Self:
        return cls(await _connect(url, source))

    async def turn(self) -> None:
        message = self.next_message()
        pieces = []
        async with asyncio.timeout(TURN_S):
            await self.socket.send(message)
            while (frame := orjson.loads(await self.socket.recv()))["type"] == "chunk":
                pieces.append(frame["content"])
        if "".join(pieces) != frame["content"] or message not in frame["content"]:
            raise TurnLostError(message)


class SessionClient(_Conversation):
    """Talks to a runner in the events dialect, and sees that its log has no gap."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        self.session_id = ""
        self._seq = 0
        self._place = 0

    @classmethod
    async def open(cls, url: str, source: str | None = None) -> Self:
        client = cls(await _connect(url, source))
        await client._send({"event": "user.create_session"})
        frame = await client._until("agent.session_created")
        client.session_id = frame["session_id"]
        return client

    async def turn(self) -> None:
        message = self.next_message()
        event = {"event": "user.message", "session_id": self.session_id, "content": message}
        async with asyncio.timeout(TURN_S):
            await self._send(event)
            frame = await self._until(*TERMINAL)
        if frame["event"] != "agent.final_answer" or message not in frame["content"]:
            raise TurnLostError(f"{message} -> {frame}")

    def note_place(self) -> None:
        """Where it is in its log now."""
        self._place = self._seq

    async def resume(self, url: str) -> None:
        """Comes back over a new socket, until it has its whole log. Raises `TurnLostError`.

        Entries after the noted place count as lost on the way.
        """
        end, self._seq = self._seq, self._place
        self.socket = await _connect(url)
        metadata = {"last_seq": self._seq}
        event = {"event": "user.reconnect", "session_id": self.session_id, "metadata": metadata}
        async with asyncio.timeout(TURN_S):
            await self._send(event)
            await self._until("agent.replay_complete")
        if self._seq != end:
            raise TurnLostError(f"{self.session_id} ended at {self._seq} instead of {end}")

    async def _send(self, event: dict[str, Any]) -> None:
        await self.socket.send(orjson.dumps(event).decode())

    async def _until(self, *events: str) -> dict[str, Any]:
        while True:
            frame: dict[str, Any] = orjson.loads(await self.socket.recv())
            if "seq" in frame:
                self._seq += 1
                if frame["seq"] != self._seq:
                    raise TurnLostError(f"entry {self._seq} is missing before {frame}")
            if frame["event"] in events:
                return frame
