"""Background tasks that have an owner: kept, ended with it, and their failures logged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

import structlog
from django.db import Error as DatabaseFailure

from agents.runtime.explaining import explain

logger = structlog.get_logger(__name__)

STOP_S = 5.0
"""Seconds that cancelled tasks may take to end."""


class Background:
    """Its methods belong to the event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def repeat(
        self, interval_s: float, work: Callable[[], Awaitable[None]], *, is_due: bool = False
    ) -> None:
        """Does the work periodically, first after an interval or, if it is due, at once.

        A failure does not end the repetition.
        """
        self.start(_repeat(interval_s, work, is_due=is_due))

    async def stop(self) -> None:
        """Cancels the running tasks and waits for them, at most `STOP_S`. May be called twice."""
        await end(self._tasks)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if (error := failure_of(task)) is not None:
            logger.error("background_task_failed", exc_info=error)


def failure_of(task: asyncio.Task[Any]) -> BaseException | None:
    """The failure of a task that is done; None if it was cancelled or succeeded."""
    return None if task.cancelled() else task.exception()


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits until they have ended, `STOP_S` at most.

    Cancelling is safe: they have been cancelled by then.
    """
    for task in tasks:
        task.cancel()
    if tasks:
        _, left = await asyncio.wait(list(tasks), timeout=STOP_S)
        for task in left:
            logger.warning("task_left_running", task=repr(task.get_coro()))


async def _repeat(interval_s: float, work: Callable[[], Awaitable[None]], *, is_due: bool) -> None:
    """Ends only when it is cancelled, whatever the work raises."""
    if not is_due:
        await asyncio.sleep(interval_s)
    while True:
        try:
            await work()
        except DatabaseFailure as error:
            logger.warning("storage_away", work=_name_of(work), error=explain(error))
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            # Something that it awaited was cancelled, such as a task that others await as well.
            logger.warning("work_cancelled", work=_name_of(work))
        except Exception:
            logger.exception("work_failed", work=_name_of(work))
        await asyncio.sleep(interval_s)


def _is_cancelled() -> bool:
    """Whether the current task itself is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _name_of(work: Callable[..., object]) -> str:
    return getattr(work, "__qualname__", repr(work))
