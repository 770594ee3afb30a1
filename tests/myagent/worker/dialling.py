"""The other end of a link: it says what the test tells it to, and hears one message at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from myagent.messages import ChatMessage
from myagent.runnable import NOTHING_DONE
from myagent.steps import Answer, Step
from myagent.worker.codec import decode_from_worker, encode
from myagent.worker.framing import FrameReader, framed
from myagent.worker.protocol import (
    VERSION,
    Accept,
    FromServer,
    FromWorker,
    Hello,
    Ready,
    RunKey,
    Start,
    Steps,
    Stopped,
)

PATIENCE_S = 30

Kind = TypeVar("Kind", bound=FromWorker)


class Dialled:
    """`heard` is everything that came, in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heard: list[FromWorker] = []
        self._frames = FrameReader()
        self._waiting: list[FromWorker] = []

    def say(self, *messages: FromServer) -> None:
        self.writer.write(b"".join(framed(encode(message)) for message in messages))

    async def next(self) -> FromWorker:
        """The next message. Raises `EOFError` when the link has ended."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._waiting:
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError
                self._waiting = [decode_from_worker(frame) for frame in self._frames.feed(data)]
        self.heard.append(self._waiting[0])
        return self._waiting.pop(0)

    async def hear(self, kind: type[Kind]) -> Kind:
        """The next message of this kind; others before it are only written down."""
        while not isinstance(message := await self.next(), kind):
            pass
        return message

    async def ready(self) -> Ready:
        self.say(Hello(VERSION, "a test"))
        return await self.hear(Ready)

    async def steps_of(self, start: Start) -> list[Step]:
        """Carries a run out, accepting each step; what the answer's log would have."""
        self.say(start)
        steps: list[Step] = []
        while not (steps and isinstance(steps[-1], Answer)):
            message = await self.next()
            assert not isinstance(message, Stopped), message
            if isinstance(message, Steps):
                assert message.key == start.key
                steps += message.steps
                self.say(Accept(start.key))
        return steps

    async def ended(self) -> list[FromWorker]:
        """Waits for the link's end; what came until then."""
        place = len(self.heard)
        try:
            while True:
                await self.next()
        except (EOFError, ConnectionResetError):
            return self.heard[place:]

    def pause(self) -> None:
        """Reads nothing from now on."""
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    def resume(self) -> None:
        cast(asyncio.Transport, self.writer.transport).resume_reading()

    async def close(self) -> None:
        self.writer.transport.abort()
        with suppress(ConnectionError):  # The worker was first.
            await self.writer.wait_closed()


@asynccontextmanager
async def connected(path: Path | str) -> AsyncIterator[Dialled]:
    """A connection that has said nothing yet."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    link = Dialled(reader, writer)
    try:
        yield link
    finally:
        await link.close()


@asynccontextmanager
async def dialled(path: Path | str) -> AsyncIterator[Dialled]:
    """A link that is open."""
    async with connected(path) as link:
        await link.ready()
        yield link


def start(
    text: str | Sequence[ChatMessage] = "hi",
    session: str = "s",
    epoch: int = 1,
    attempt: int = 1,
    **fields: Any,
) -> Start:
    """A run; of a text, or of the messages that are new to the worker."""
    messages = [ChatMessage("user", text)] if isinstance(text, str) else text
    given: dict[str, Any] = {
        "generation": 1,
        "first": 0,
        "at": 0,
        "resume": NOTHING_DONE,
        "is_continued": False,
    }
    return Start(RunKey(session, epoch, attempt), messages=messages, **(given | fields))
