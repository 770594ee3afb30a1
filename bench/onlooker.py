"""Clients whose turns are under way when something dies: what came is kept with its moment."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.clients import TERMINAL, TURN_S, TurnLostError


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run. Each turn's answer takes `chunks` · `delay_ms`."""

    rounds: int
    turns: int
    chunks: int
    delay_ms: int = 100
    lease_s: float = 15.0


class Onlooker:
    """One conversation, whose turn is under way; when each frame came is written down."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.session_id = ""
        self.is_streaming = asyncio.Event()
        self.times: list[tuple[float, dict[str, Any]]] = []

    @classmethod
    async def open(cls, url: str) -> Self:
        return cls(await _dial(url))

    async def take_turn(self, number: int, scale: Scale) -> None:
        """One message and its whole answer. Raises `TurnLostError`, `TimeoutError`."""
        async with asyncio.timeout(TURN_S):
            await self._begin(number, f"[[chunks={scale.chunks} delay_ms={scale.delay_ms}]]")
            self._judge(number, await self._until(*TERMINAL))

    async def take_turn_elsewhere(self, number: int, script: str, other_url: str) -> None:
        """The same, where the server dies: it resumes at the other one as soon as it notices.

        Raises `TurnLostError`, `TimeoutError`.
        """
        async with asyncio.timeout(TURN_S):
            await self._begin(number, script)
            try:
                self._judge(number, await self._until(*TERMINAL))
                raise TurnLostError(f"{number} ended before the server died")
            except ConnectionClosed:
                self.socket = await _dial(other_url)
            last_seq = max(frame["seq"] for _, frame in self.times if "seq" in frame)
            event = {"event": "user.reconnect", "session_id": self.session_id}
            await self._send(event | {"metadata": {"last_seq": last_seq}})
            # The end may be among what it missed.
            ends = [await self._until("agent.replay_complete", *TERMINAL)]
            ends.append(await self._until("agent.replay_complete", *TERMINAL))
            self._judge(number, next(each for each in ends if each["event"] in TERMINAL))

    async def _begin(self, number: int, script: str) -> None:
        await self._send({"event": "user.create_session"})
        self.session_id = (await self._until("agent.session_created"))["session_id"]
        content = f"Turn {number} {'tells a long story ' * 30}{script}"
        event = {"event": "user.message", "session_id": self.session_id, "content": content}
        await self._send(event)
        await self._until("agent.partial_answer")
        self.is_streaming.set()

    @staticmethod
    def _judge(number: int, end: dict[str, Any]) -> None:
        if end["event"] != "agent.final_answer" or f"Turn {number} " not in end["content"]:
            raise TurnLostError(f"{number} -> {end}")

    async def check(self) -> None:
        """Raises `TurnLostError` if the log that was shown has a gap, or an end too many."""
        seqs = [frame["seq"] for _, frame in self.times if "seq" in frame]
        ends = [frame for _, frame in self.times if frame["event"] in TERMINAL]
        if seqs != list(range(1, len(seqs) + 1)) or len(ends) != 1:
            raise TurnLostError(f"entries {seqs}, {len(ends)} ends")
        # A doubled answer would come before this one.
        await self._send({"event": "user.create_session"})
        last = await self._until("agent.session_created")
        if [f for _, f in self.times if f["event"] in TERMINAL] != ends:
            raise TurnLostError(f"ended twice before {last}")

    def notice_at(self, code: str) -> float:
        """When it was told how its turn fares. Raises `TurnLostError`."""
        for at, frame in self.times:
            if frame["event"] == "system.notice" and frame["metadata"]["code"] == code:
                return at
        raise TurnLostError(f"it was never told {code!r}: its turn met no death")

    def came_at(self, *events: str) -> float:
        """When the last frame of these kinds came."""
        return next(at for at, frame in reversed(self.times) if frame["event"] in events)

    def text_at(self) -> float:
        """When its turn showed text again."""
        resumed_at = self.notice_at("continued")
        return next(
            at
            for at, frame in self.times
            if at > resumed_at and frame["event"] == "agent.partial_answer"
        )

    async def _send(self, event: dict[str, Any]) -> None:
        await self.socket.send(orjson.dumps(event).decode())

    async def _until(self, *events: str) -> dict[str, Any]:
        while True:
            frame: dict[str, Any] = orjson.loads(await self.socket.recv())
            self.times.append((time.perf_counter(), frame))
            if frame["event"] in events:
                return frame


async def _dial(url: str) -> ClientConnection:
    return await connect(url, compression=None, max_size=None, ping_interval=None)
