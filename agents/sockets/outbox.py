"""The frames that wait to be sent on one socket: bounded, in order, one writer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache

from django.conf import settings

from agents.log.entry import Logged
from agents.sockets import rendering

Send = Callable[[dict[str, object]], Awaitable[None]]
RenderText = Callable[[str, str, int, int, str], str]
"""A frame of text, from session, run, step, offset and the text itself."""


MOST_FRAMES = 5_000
"""The most frames that may wait, however small."""

MOST_CONTROL = 1024 * 1024
"""Characters of control frames that may wait."""


SHARE = 64 * 1024
"""Characters that may always wait for a socket, however much waits for others."""


class Waiting:
    """The total that waits for all sockets of a process. `limit` is in characters."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0

    @property
    def is_full(self) -> bool:
        return self.size >= self.limit


@cache
def waiting_here() -> Waiting:
    """The total of this process, which all its servers and ports share."""
    return Waiting(settings.MYAGENT_OUTBOXES_CHARACTERS)


class SocketGone(Exception):
    """The peer is gone."""


class _Control(str):
    """A frame that is accepted although the outbox is full."""

    __slots__ = ()


@dataclass(slots=True)
class _Partial:
    """Partial text that grows while it waits."""

    session_id: str
    run_id: str
    step: int
    offset: int
    pieces: list[str] = field(default_factory=list)
    size: int = 0
    """Characters of all pieces: stored, as there may be very many pieces."""

    def add(self, text: str) -> None:
        self.pieces.append(text)
        self.size += len(text)

    def continues(self, other: _Partial) -> bool:
        same = (self.session_id, self.run_id, self.step)
        end = other.offset + other.size
        return same == (other.session_id, other.run_id, other.step) and self.offset == end

    def render(self, render: RenderText) -> str:
        text = "".join(self.pieces)
        return render(self.session_id, self.run_id, self.step, self.offset, text)


class Outbox:
    """Frames to be sent. `limit` is in characters.

    Above the limit, or above its `SHARE` while too much waits for all sockets, durable entries are
    refused (the log keeps them), and text is dropped (it is a preview). Control frames have room of
    their own; `is_overfull` says that even that is used up.
    """

    def __init__(
        self,
        send: Send,
        limit: int,
        render: RenderText = rendering.partial,
        *,
        waiting: Waiting | None = None,
    ) -> None:
        self._send = send
        self._waiting = waiting or Waiting(limit)
        self._render = render
        self._limit = limit
        # There are thousands of outboxes, mostly empty, and an empty deque takes 600 bytes.
        self._items: list[str | _Partial] = []
        self._size = 0
        self._control_size = 0
        self._wake: asyncio.Future[None] | None = None
        self._room: asyncio.Event | None = None
        """What those who push wait for; None while there is room."""
        self._loop = asyncio.get_running_loop()
        self.last_sent_at = self._loop.time()
        self._sending_since: float | None = None

    @property
    def is_overfull(self) -> bool:
        return self._control_size >= MOST_CONTROL or len(self._items) >= MOST_FRAMES

    def stalled_for_s(self) -> float:
        """Seconds for which the socket has not taken the frame that is being sent."""
        return 0.0 if self._sending_since is None else self._loop.time() - self._sending_since

    def has_room(self) -> bool:
        """Whether anything but control frames is taken now; if not, `room` waits for it."""
        if self._is_full():
            self._room = self._room or asyncio.Event()
            return False
        return True

    def push(self, logged: Logged) -> bool:
        if not self.has_room():
            return False
        self._add(logged.frame)
        return True

    def push_frame(self, frame: str) -> None:
        if not self.is_overfull:
            self._control_size += len(frame)
            self._add(_Control(frame))

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        if self._is_full():
            return False
        self.add_text(session_id, run_id, step, offset, text)
        return True

    # For tasks that wait for room.

    def add_frame(self, frame: str) -> None:
        self._add(frame)

    def add_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> None:
        partial = _Partial(session_id, run_id, step, offset)
        partial.add(text)
        last = self._items[-1] if self._items else None
        if isinstance(last, _Partial) and partial.continues(last):
            last.add(text)
            self._grow(len(text))
        else:
            self._add(partial)

    async def room(self) -> None:
        if self._room is not None:
            await self._room.wait()

    async def run(self) -> None:
        """Sends until cancelled, or until the socket is gone (`SocketGone`)."""
        while True:
            await self.drain()
            self._wake = self._loop.create_future()
            await self._wake

    async def drain(self) -> None:
        """Sends what waits now. Cancelling is safe: what was not sent still waits."""
        while self._items:
            item = self._items.pop(0)
            try:
                await self._send_text(item if isinstance(item, str) else item.render(self._render))
            except asyncio.CancelledError:
                self._items.insert(0, item)
                raise
            self._grow(-_size_of(item))
            if isinstance(item, _Control):
                self._control_size -= len(item)
            if self._size < self._limit // 2 and self._room is not None:
                self._room.set()
                self._room = None

    def close(self) -> None:
        """Sends nothing any more. May be called twice."""
        # `send` may refer to the socket that owns this outbox.
        self._send = _gone
        # The rest belongs to nobody any more.
        self._waiting.size -= self._size
        self._waiting = Waiting(self._limit)

    async def _send_text(self, text: str) -> None:
        self.last_sent_at = self._sending_since = self._loop.time()
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError) as error:
            # Servers differ in what they raise for a socket that is gone.
            raise SocketGone from error
        finally:
            self._sending_since = None

    def _is_full(self) -> bool:
        return self._size >= self._limit or (self._size >= SHARE and self._waiting.is_full)

    def _grow(self, size: int) -> None:
        self._size += size
        self._waiting.size += size

    def _add(self, item: str | _Partial) -> None:
        self._items.append(item)
        self._grow(_size_of(item))
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


async def _gone(message: dict[str, object]) -> None:
    raise SocketGone


def _size_of(item: str | _Partial) -> int:
    return len(item) if isinstance(item, str) else item.size
