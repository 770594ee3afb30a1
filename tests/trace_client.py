"""A client of the trace dialect that writes down all it sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.recording import PATIENCE_S

Frame = dict[str, Any]


class Watcher:
    """One socket. `frames` is everything received, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []

    async def send(self, **fields: Any) -> None:
        await self.socket.send(json.dumps(fields))

    async def start(self, question: str) -> None:
        await self.send(action="start_agent", question=question)

    async def receive(self) -> Frame:
        async with asyncio.timeout(PATIENCE_S):
            frame: Frame = json.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def until(
        self, event_type: str, where: Callable[[Frame], bool] = lambda frame: True
    ) -> Frame:
        while (frame := await self.receive())["event_type"] != event_type or not where(frame):
            pass
        return frame

    async def ask(self, question: str) -> Frame:
        await self.start(question)
        return await self.until("trace_completed")

    async def read_to_close(self) -> int | None:
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return self.socket.close_code

    def types(self, *left_out: str) -> list[str]:
        return [f["event_type"] for f in self.frames if f["event_type"] not in left_out]

    def of(self, event_type: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["event_type"] == event_type]


@asynccontextmanager
async def watcher(url: str, **options: Any) -> AsyncIterator[Watcher]:
    options = {"compression": None, "max_size": None, "close_timeout": 2} | options
    async with connect(url, **options) as socket:
        yield Watcher(socket)


def assert_each_once(frames: list[Frame]) -> None:
    """No message came twice, and each trace is told in order: start, steps, end."""
    ids = [frame["message_id"] for frame in frames]
    assert len(ids) == len(set(ids)), sorted(each for each in ids if ids.count(each) > 1)
    assert_in_order(frames)


def assert_in_order(frames: list[Frame]) -> None:
    """Each trace begins with its start, ends with its end, and a span's end follows its start.

    Only what somebody says of the answer follows the end.
    """
    seen: dict[str, list[Frame]] = {}
    for frame in frames:
        if trace_id := frame["data"].get("trace_id"):
            told = seen.setdefault(trace_id, [])
            if frame["message_id"] not in [each["message_id"] for each in told]:
                told.append(frame)
    for told in seen.values():
        assert told[0]["event_type"] == "trace_started", told[0]
        while told[-1]["event_type"] == "feedback":
            told.pop()
        ends = [n for n, each in enumerate(told) if each["event_type"] == "trace_completed"]
        assert ends in ([], [len(told) - 1]), [each["event_type"] for each in told]
        begun: set[str] = set()
        for each in told:
            if each["event_type"] == "span_started":
                begun.add(each["data"]["run_id"])
            elif each["event_type"] in ("think_completed", "tool_completed") and begun:
                assert each["data"]["run_id"] in begun, each
