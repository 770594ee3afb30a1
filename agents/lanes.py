"""What one client asks for, carried out: in its order for each session, side by side for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

logger = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[object]]

MOST_HELD = 4 * 1024 * 1024
"""Characters of what is under way or waits, from which nothing more may wait behind another."""

LEAST_WEIGHT = 4 * 1024
"""Characters that each piece of work counts for at least."""


class Lanes:
    """A lane carries out one piece of work after the other; lanes do not wait for each other.

    Bounded: from `MOST_HELD` on a lane at work has no room for more, and from
    twice as much `take` waits, whichever lane is asked for. Its methods belong
    to one reader.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, deque[tuple[Work, int]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = 0
        self._room: asyncio.Future[None] | None = None

    def has_room(self, lane: str) -> bool:
        return self._held < MOST_HELD or lane not in self._lanes

    async def take(self, lane: str, size: int, work: Work) -> None:
        """Returns once the work is done, or waits for something. Ask `has_room` first.

        `size` is in characters. Cancelling is safe: the work goes on.
        """
        weight = max(size, LEAST_WEIGHT)
        self._held += weight
        before = self._lanes.get(lane)
        if before is not None:
            before.append((work, weight))
        else:
            self._open(lane, (work, weight))
            # Most work needs no wait: it is done before the next frame is read.
            await asyncio.sleep(0)
        while self._held >= 2 * MOST_HELD:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    async def settle(self) -> None:
        """Waits until nothing is under way. Cancelling is safe."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """Cancels what is under way and drops what waits. May be called from a lane's own work."""
        for waiting in self._lanes.values():
            waiting.clear()
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """Cancels everything and waits until it has ended. May be called twice."""
        self.cancel()
        await self.settle()

    def _open(self, lane: str, first: tuple[Work, int]) -> None:
        waiting = self._lanes[lane] = deque([first])
        task = asyncio.get_running_loop().create_task(self._carry_out(lane, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, lane: str, waiting: deque[tuple[Work, int]]) -> None:
        try:
            while waiting:
                work, weight = waiting.popleft()
                try:
                    await work()
                except Exception:
                    logger.exception("work_failed", lane=lane)
                finally:
                    self._let_go(weight)
        finally:
            del self._lanes[lane]

    def _let_go(self, weight: int) -> None:
        self._held -= weight
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
