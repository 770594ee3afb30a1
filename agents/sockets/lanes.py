"""Carries out one client's requests: in order per session, concurrently between sessions."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import structlog

from agents.runtime.background import failure_of

logger = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[object]]

MOST_HELD = 4 * 1024 * 1024
"""Characters of pending requests from which on no request may wait behind another."""

LEAST_WEIGHT = 4 * 1024
"""Characters that each piece of work counts for at least."""


class Lanes:
    """A lane carries out one request after the other; lanes do not wait for each other.

    The reading task carries out at once what it has read: most requests need no wait. At the first
    wait another task takes over reading, and the waiting task belongs to the lane.

    The lanes are bounded: from `MOST_HELD` on a busy lane has no room for more, and from twice as
    much nothing is read, for any lane.

    `read` reads while `is_reader`, and gives what it reads to `take`.
    """

    def __init__(self, read: Callable[[], Awaitable[None]]) -> None:
        self._read = read
        self._reader: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes: dict[str, deque[tuple[Work, int]]] = {}
        self._held = 0
        self._room: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Reads, until `read` has ended and everything is done; raises what `read` raises.

        Cancelling it cancels what is under way and drops what waits.
        """
        self._ended = asyncio.get_running_loop().create_future()
        self._read_on()
        try:
            await self._ended
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # The owner of the lanes refers to them: a cycle would wait for the garbage collector.
            self._read, self._reader = _nothing, None

    @property
    def is_reader(self) -> bool:
        """Whether the current task is the one that reads."""
        return asyncio.current_task() is self._reader

    def has_room(self, lane: str) -> bool:
        return self._held < MOST_HELD or lane not in self._lanes

    async def take(self, lane: str, size: int, work: Work) -> None:
        """Carries out work of `size` characters in a lane that has room.

        For the reading task, which may no longer be the reader afterwards.
        """
        weight = max(size, LEAST_WEIGHT)
        self._held += weight
        waiting = self._lanes.get(lane)
        if waiting is None:
            await _noticing(self._carry_out(lane, work, weight), self._read_on)
        else:
            waiting.append((work, weight))
            await self._have_room()

    def _read_on(self) -> None:
        self._reader = asyncio.get_running_loop().create_task(self._read_with_room())
        self._tasks.add(self._reader)
        self._reader.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = failure_of(task)
        if self._ended is None or self._ended.done():
            return
        if error is not None:
            self._ended.set_exception(error)
        elif task.cancelled() or not self._tasks:
            self._ended.set_result(None)

    async def _read_with_room(self) -> None:
        await self._have_room()
        await self._read()

    async def _have_room(self) -> None:
        while self._held >= 2 * MOST_HELD:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    async def _carry_out(self, lane: str, work: Work, weight: int) -> None:
        waiting = self._lanes[lane] = deque()
        try:
            while True:
                try:
                    await work()
                except Exception:
                    logger.exception("work_failed")
                self._let_go(weight)
                if not waiting:
                    return
                work, weight = waiting.popleft()
        finally:
            del self._lanes[lane]

    def _let_go(self, weight: int) -> None:
        self._held -= weight
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


async def _nothing() -> None:
    """Replaces `read` once the lanes have ended."""


@types.coroutine
def _noticing(
    work: Coroutine[Any, Any, None], on_wait: Callable[[], None]
) -> Generator[Any, None, None]:
    """Awaits the work, and calls `on_wait` when it has to wait for the first time."""
    try:
        waits_for = work.send(None)
        on_wait()
        while True:
            try:
                yield waits_for
            except BaseException as error:
                waits_for = work.throw(error)
            else:
                waits_for = work.send(None)
    except StopIteration:
        return
