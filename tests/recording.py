"""A WebSocket client that writes down all it sees: the judge of what the protocol promises."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 30.0
NOBODYS = "01a1fd04-4c41-7c64-a738-270ed833529a"
"""A session id that was never given out."""

TERMINAL = {"agent.final_answer", "agent.error", "agent.interrupted", "agent.timeout"}

Frame = dict[str, Any]


class Recorder:
    """One socket. `frames` is everything received, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []

    @classmethod
    async def dial(cls, url: str, **options: Any) -> Self:
        """Connects, and reads nothing: the server may refuse the client."""
        options = {"compression": None, "max_size": None, "close_timeout": 2} | options
        return cls(await connect(url, **options))

    @classmethod
    async def open(cls, url: str, **options: Any) -> Self:
        recorder = await cls.dial(url, **options)
        await recorder.until("system.connected")
        return recorder

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def send(self, event: str, session_id: str | None = None, **fields: Any) -> None:
        frame = {"event": event, **fields}
        if session_id is not None:
            frame["session_id"] = session_id
        await self.socket.send(json.dumps(frame))

    async def say(self, session_id: str, text: str, **metadata: Any) -> None:
        await self.send("user.message", session_id, content=text, metadata=metadata)

    async def send_raw(self, frame: str | bytes) -> None:
        """Sends a frame as it is: text, or (bytes) a binary one."""
        await self.socket.send(frame)

    def drop(self) -> None:
        """Cuts the connection, as a network that fails does."""
        self.socket.transport.abort()

    async def receive(self) -> Frame:
        async with asyncio.timeout(PATIENCE_S):
            frame: Frame = json.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def until(self, *events: str, where: Callable[[Frame], bool] | None = None) -> Frame:
        """The next frame of one of these kinds (for which `where` holds)."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame = await self.receive()
                if frame["event"] in events and (where is None or where(frame)):
                    return frame

    async def error(self, code: str) -> Frame:
        """The next `system.error`, which must have this code."""
        frame = await self.until("system.error")
        assert frame["metadata"]["code"] == code, frame
        return frame

    async def fence(self, session_id: str) -> None:
        """Returns when all that the server had to say before this has been received."""
        await self.send("user.cancel", session_id, metadata={"run_id": "fence"})
        await self.until(
            "system.notice", where=lambda frame: frame["metadata"].get("run_id") == "fence"
        )

    async def create_session(self, **metadata: Any) -> str:
        await self.send("user.create_session", metadata=metadata)
        session_id: str = (await self.until("agent.session_created"))["session_id"]
        return session_id

    async def ask(self, session_id: str, text: str, **metadata: Any) -> Frame:
        """Sends a message and waits for its one end."""
        await self.say(session_id, text, **metadata)
        echo = await self.until("user.message", where=lambda frame: frame["content"] == text)
        return await self.end_of(echo["metadata"]["run_id"])

    async def end_of(self, run_id: str) -> Frame:
        return await self.until(
            *TERMINAL, where=lambda frame: bool(frame["metadata"]["run_id"] == run_id)
        )

    async def reconnect(self, session_id: str, last_seq: int = 0) -> list[Frame]:
        """Resumes; the frames up to `agent.replay_complete`, which is the last."""
        start = len(self.frames)
        await self.send("user.reconnect", session_id, metadata={"last_seq": last_seq})
        await self.until("agent.replay_complete")
        return self.frames[start:]

    async def read_to_close(self) -> int:
        """Reads until the server closes the socket; the close code."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            assert self.socket.close_code is not None
            return self.socket.close_code


async def log_of(url: str, session_id: str) -> list[Frame]:
    """The session's log, as a client that comes late sees it."""
    async with await Recorder.open(url) as late:
        return durable(await late.reconnect(session_id))


def kinds(frames: Iterable[Frame]) -> list[str]:
    return [frame["event"] for frame in frames]


def durable(frames: Iterable[Frame], session_id: str | None = None) -> list[Frame]:
    """The durable events among the frames, of one session if it is named."""
    return [
        frame
        for frame in frames
        if "seq" in frame and session_id in (None, frame.get("session_id"))
    ]


def assert_gapless(frames: Iterable[Frame], first: int = 1) -> None:
    """Every durable event once, in order."""
    seqs = [frame["seq"] for frame in durable(frames)]
    assert seqs == list(range(first, first + len(seqs))), f"not in a row: {seqs}"


def assert_one_end_each(frames: Iterable[Frame]) -> None:
    """Every accepted message has exactly one end."""
    log = durable(frames)
    accepted = [frame["metadata"]["run_id"] for frame in log if frame["event"] == "user.message"]
    ended = [frame["metadata"]["run_id"] for frame in log if frame["event"] in TERMINAL]
    assert sorted(ended) == sorted(accepted)


def text_of(frames: Iterable[Frame], run_id: str) -> str:
    """The text that a client following the rule of offsets has on its screen for the last step."""
    text, step = "", None
    for frame in frames:
        if frame["event"] == "agent.partial_answer" and frame["metadata"]["run_id"] == run_id:
            if frame["metadata"]["step"] != step:
                text, step = "", frame["metadata"]["step"]
            text = text[: frame["metadata"]["offset"]] + frame["content"]
    return text
