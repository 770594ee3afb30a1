"""The timers of a run: its own time-out, and the deadline of each question it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime


class RunTimers:
    """Calls `on_timeout` once the run has worked for `timeout_s` seconds; pauses do not count.

    Create it on the event loop. After `stop` nothing is called any more.
    """

    def __init__(self, timeout_s: float, on_timeout: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._left_s = timeout_s
        self._on_timeout = on_timeout
        self._running_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._deadlines: dict[str, asyncio.TimerHandle] = {}
        self._is_stopped = False

    def run(self) -> None:
        """Continues from where it was paused."""
        if self._timer is None and not self._is_stopped:
            self._running_since = self._loop.time()
            self._timer = self._loop.call_later(max(0.0, self._left_s), self._on_timeout)

    def pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left_s -= self._loop.time() - self._running_since

    def watch(self, step_id: str, deadline: datetime, on_deadline: Callable[[], None]) -> None:
        """Calls `on_deadline` at the deadline, or at once if that has passed."""
        if self._is_stopped:
            return
        left_s = max(0.0, (deadline - datetime.now(UTC)).total_seconds())
        self.settle(step_id)
        self._deadlines[step_id] = self._loop.call_later(left_s, on_deadline)

    def settle(self, step_id: str) -> None:
        """The question was answered: drops its deadline."""
        if timer := self._deadlines.pop(step_id, None):
            timer.cancel()

    def stop(self) -> None:
        """May be called twice."""
        self._is_stopped = True
        self.pause()
        # The run and its timers refer to each other: without this, both would wait for the garbage
        # collector.
        self._on_timeout = _nothing
        for step_id in list(self._deadlines):
            self.settle(step_id)


def _nothing() -> None:
    """What stopped timers call."""
