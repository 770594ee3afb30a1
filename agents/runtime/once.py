"""Work that is done once and completely, even if a caller stops waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from agents.runtime.background import failure_of

logger = structlog.get_logger(__name__)


class Once:
    """Awaiting a call does the work, or joins it if it is running; once done, it stays done.

    Cancelling a caller is safe: the work goes on, and the next call joins it. Work that failed, or
    was cancelled with its loop, is started again by the next call; its failure is logged, and
    raised in the callers that wait.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None

    @property
    def has_begun(self) -> bool:
        return self._task is not None

    async def __call__(self) -> None:
        if self._task is None or _has_failed(self._task):
            self._task = asyncio.get_running_loop().create_task(self._work())
            self._task.add_done_callback(_log_failure)
        await asyncio.shield(self._task)


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _log_failure(task: asyncio.Task[None]) -> None:
    # Those who waited may all have been cancelled.
    if (error := failure_of(task)) is not None:
        logger.error("unfinished", work=repr(task.get_coro()), exc_info=error)
