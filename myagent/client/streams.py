"""Event streams for programs: bounded queues that slow the socket down instead of filling
memory."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from myagent.client.errors import ClientError
from myagent.protocol.server_events import ServerEvent
from myagent.sentence import Sentence

LIMIT = 256
"""Events that may wait in a stream before reading from the socket stops."""

HARD_LIMIT = 20_000
"""The same while a method waits for its answer, which comes over the same socket."""


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionChanged:
    """The state of the connection; not sent by the server.

    `retry_in_s`: seconds until the next attempt. `code`: of the error that the service told last,
    and `close_code` that of the socket, where it was the service that closed it.
    """

    state: ConnectionState
    reason: str = ""
    retry_in_s: float = 0.0
    code: str = ""
    close_code: int | None = None


Event = ServerEvent | ConnectionChanged


class EventStream:
    """An async iterator of events. Dropping it, or `close`, ends the subscription.

    Waiting for an event may be cancelled; no event is lost by that.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._events: deque[Event] = deque()
        self._error: ClientError | None = None
        self._is_over = False
        self._wake: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._is_over:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        event = self._events.popleft()
        self._streams.look()
        return event

    def close(self) -> None:
        """No more events; those that wait can still be read. May be called twice."""
        self._end(None)

    @property
    def waiting_count(self) -> int:
        """Events that have not been read."""
        return 0 if self._is_over else len(self._events)

    def _offer(self, event: Event) -> None:
        if not self._is_over:
            self._events.append(event)
            self._rouse()

    def _end(self, error: ClientError | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._error = error
            self._rouse()
            self._streams.look()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Streams:
    """The streams that are still in use."""

    def __init__(self) -> None:
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._changed = asyncio.Event()
        self._verbs: set[asyncio.Future[ServerEvent]] = set()
        self._is_started = False

    def add(self, stream: EventStream) -> None:
        self._is_started = True
        self._streams.add(stream)
        weakref.finalize(stream, self.look).atexit = False
        self.look()

    def deliver(self, event: Event) -> None:
        for stream in list(self._streams):
            stream._offer(event)

    def end(self, error: ClientError | None) -> None:
        for stream in list(self._streams):
            stream._end(error)

    def look(self) -> None:
        """Wakes the tasks that wait in `room`."""
        self._changed.set()

    @contextlib.contextmanager
    def awaiting(self, answer: asyncio.Future[ServerEvent]) -> Iterator[None]:
        """While a method waits, reading goes on: its caller may be the task that reads a stream."""
        self._is_started = True
        self._verbs.add(answer)
        self.look()
        try:
            yield
        finally:
            self._verbs.discard(answer)

    async def room(self) -> None:
        """Waits until an event may be read from the socket. Cancelling is safe."""
        while not self._has_room():
            self._changed.clear()
            await self._changed.wait()

    def _has_room(self) -> bool:
        most = max((stream.waiting_count for stream in list(self._streams)), default=0)
        if most >= HARD_LIMIT:
            self._fail_verbs()
            return False
        return self._is_started and (most < LIMIT or bool(self._verbs))

    def _fail_verbs(self) -> None:
        for answer in self._verbs:
            if not answer.done():
                answer.set_exception(
                    ClientError(
                        Sentence("{count} events wait and nobody reads them.", count=HARD_LIMIT)
                    )
                )
