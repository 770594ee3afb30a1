"""A session's events as server-sent events (WHATWG HTML, 9.2), resumable by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from django.conf import settings

from agents.calls.call import Call
from agents.log.entry import Logged
from agents.sockets import rendering
from agents.sockets.outbox import Outbox, SocketGone, waiting_here
from agents.transients import Problem, Repeated, Transient
from myagent.protocol import CloseCode

STREAM_S = 30.0
"""Seconds after which a reader has to come again, so that its rights are checked again."""

RETRY = "retry: 1000\n\n"
HEARTBEAT = ": alive\n\n"


def never(logged: Logged) -> bool:
    """For a stream that no entry ends."""
    return False


class Stream(Call):
    """An entry of the log is an event with its `seq` as id; all else has no id.

    `is_last`: whether an entry ends the stream. `read` must be called once.
    """

    def __init__(self, *given: Any, is_last: Callable[[Logged], bool] = never) -> None:
        super().__init__(*given)
        self._is_last = is_last
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._over = asyncio.Event()
        self._outbox = Outbox(
            self._hand_over,
            settings.MYAGENT_OUTBOX_CHARACTERS,
            _text,
            waiting=waiting_here(),
        )
        self._outbox.add_frame(RETRY)
        self.original: Logged | None = None
        """The echo of a message that had been accepted before."""

    def push(self, logged: Logged) -> bool:
        if self._over.is_set():
            return True
        if not self._outbox.has_room():
            return False
        self._outbox.add_frame(f"id: {logged.seq}\ndata: {logged.frame}\n\n")
        if self._is_last(logged):
            self._over.set()
        return True

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        return self._over.is_set() or self._outbox.push_text(session_id, run_id, step, offset, text)

    def tell(self, transient: Transient) -> None:
        if self._over.is_set():
            return
        if isinstance(transient, Repeated):
            self.original = transient.original
        else:
            self._outbox.push_frame(_event(rendering.render(transient)))
        if self._outbox.is_overfull:
            self.end()

    async def room(self) -> None:
        await self._outbox.room()

    def close(self, code: int, problem: Problem) -> None:
        self.tell(problem)
        self.end()

    def beat(self, now: float) -> None:
        if self._outbox.stalled_for_s() > settings.MYAGENT_SLOW_CLIENT_S:
            # It resumes from the log; until it is gone, nothing is kept for it.
            self.close(CloseCode.SLOW_READER, Problem(self.lang, "slow_client"))
            self.leave()
        elif now - self._outbox.last_sent_at >= settings.MYAGENT_HEARTBEAT_S:
            self._outbox.push_frame(HEARTBEAT)

    def end(self) -> None:
        """Ends the stream after what waits now. May be called twice."""
        self._over.set()

    def leave(self) -> None:
        super().leave()
        self._outbox.close()
        self.end()

    async def read(self) -> AsyncIterator[bytes]:
        """The stream's text. Cancelling is safe: the reader resumes from the log."""
        writer = asyncio.get_running_loop().create_task(self._write())
        try:
            while chunk := await self._chunks.get():
                yield chunk
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self.leave()

    async def _write(self) -> None:
        sending = asyncio.get_running_loop().create_task(self._outbox.run())
        try:
            async with asyncio.timeout(STREAM_S):
                await self._over.wait()
        except TimeoutError:
            self.end()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        with suppress(SocketGone):
            await self._outbox.drain()
        await self._chunks.put(b"")

    async def _hand_over(self, message: dict[str, Any]) -> None:
        await self._chunks.put(message["text"].encode())


def _event(frame: str) -> str:
    return f"data: {frame}\n\n"


def _text(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
    return _event(rendering.partial(session_id, run_id, step, offset, text))
