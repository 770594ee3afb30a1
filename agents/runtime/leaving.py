"""Ending a process in order: once, at the first signal; a second one makes it hurry."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator

import structlog

logger = structlog.get_logger(__name__)

LEAVE_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a server in order; SIGHUP means that its terminal was closed."""


class Leaving:
    """Runs `leave` once, then `left`, also if it failed. Its methods belong to the event loop."""

    def __init__(self, leave: Callable[[], Awaitable[None]], left: Callable[[], None]) -> None:
        self._leave = leave
        self._left = left
        self.task: asyncio.Task[None] | None = None
        """None until it begins. Kept here, so that it is not collected."""

    def begin(self) -> None:
        """Called again, it cancels `leave`, which is to hurry then."""
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self._run())
        else:
            self.task.cancel()

    @contextlib.contextmanager
    def at_signals(self) -> Iterator[None]:
        """Begins at any of `LEAVE_SIGNALS`."""
        loop = asyncio.get_running_loop()
        for number in LEAVE_SIGNALS:
            loop.add_signal_handler(number, self.begin)
        try:
            yield
        finally:
            for number in LEAVE_SIGNALS:
                loop.remove_signal_handler(number)

    async def _run(self) -> None:
        try:
            await self._leave()
        except Exception:
            logger.exception("leaving_failed")
        finally:
            self._left()
