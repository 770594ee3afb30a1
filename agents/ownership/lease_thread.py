"""The thread of a lease, with its own database connection: renewals do not queue behind reads."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.runtime.database import check_connection, drop_connection, note_failure
from agents.runtime.explaining import explain

T = TypeVar("T")

logger = structlog.get_logger(__name__)


class LeaseThread:
    """Does what it is given, one after another, and calls `renew` every MYAGENT_RENEW_S seconds,
    and sooner after the database has failed.
    """

    def __init__(self, renew: Callable[[], None]) -> None:
        self._renew = renew
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A database that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._has_started = False
        self._due_at = 0.0

    def start(self) -> None:
        """Does nothing if it runs already."""
        if not self._has_started:
            self._has_started = True
            self._thread.start()

    async def run(self, work: Callable[[], T]) -> T:
        """The result. Cancelling is safe: what has begun runs to its end."""
        future: Future[T] = Future()
        self._work.put(partial(_settle, future, work))
        return await asyncio.wrap_future(future)

    def finish(self, last: Callable[[], None] = lambda: None) -> None:
        """Runs this last function, closes the connection and ends the thread. Call it once."""
        self._work.put(last)
        self._work.put(None)

    async def ended(self, patience_s: float) -> bool:
        """Waits for the thread to end; returns whether it has."""
        if self._has_started:
            await asyncio.to_thread(self._thread.join, patience_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._due_at = time.monotonic() + settings.MYAGENT_RENEW_S
        try:
            while (work := self._next()) is not None:
                self._do(work)
        finally:
            drop_connection()

    def _next(self) -> Callable[[], None] | None:
        try:
            return self._work.get(timeout=max(0.0, self._due_at - time.monotonic()))
        except queue.Empty:
            self._due_at = time.monotonic() + settings.MYAGENT_RENEW_S
            return self._renew

    def _do(self, work: Callable[[], None]) -> None:
        try:
            check_connection()
            work()
        except DatabaseFailure as error:
            note_failure(error)
            logger.warning("storage_away", error=explain(error))
            self._due_at = min(self._due_at, time.monotonic() + settings.MYAGENT_RENEW_S / 3)
        except Exception:
            logger.exception("lease_work_failed")


def _settle(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:
        if isinstance(error, DatabaseFailure):
            note_failure(error)
        future.set_exception(error)
