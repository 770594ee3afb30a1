"""Tasks that nobody waits for: kept, ended with their owner, their failures logged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from django.db import Error as DatabaseFailure

logger = structlog.get_logger(__name__)


class Background:
    """Its methods belong to the event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def repeat(self, interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work again and again; a failure does not end it."""
        self.start(_repeat(interval_s, work))

    async def stop(self) -> None:
        """Cancels what runs and waits for it. May be called twice."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("background_task_failed", exc_info=task.exception())


async def _repeat(interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
    """Does the work again and again; a failure is logged and does not end it."""
    while True:
        await asyncio.sleep(interval_s)
        try:
            await work()
        except DatabaseFailure as error:
            logger.warning("storage_away", work=work.__qualname__, error=str(error))
        except Exception:
            logger.exception("work_failed", work=work.__qualname__)
