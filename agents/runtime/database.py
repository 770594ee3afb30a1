"""Runs database work of the event loop in threads that manage their own connections."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from django.db import (
    Error,
    close_old_connections,
    connections,
)

T = TypeVar("T")

logger = structlog.get_logger(__name__)

THREADS = 4

FRESH_S = 0.5
"""Seconds for which a connection that has just answered is not asked first whether it still does.

That would be one more way to the database and back for each piece of work. A connection lost within
them is told by the work itself, as one that is lost in the midst of it.
"""

NEVER = -math.inf

STOP_S = 10.0
"""Seconds that `stop` waits for the database."""


class DatabaseThreads:
    """Runs plain functions that use the ORM."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="database")
        self._opened: dict[int, Any] = {}
        self._answered = threading.local()
        self._ending: threading.Thread | None = None

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Returns the function's result. Cancelling is safe: the function runs to its end."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, self._work, work, args
        )

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """The same from any thread. Raises `RuntimeError` after `stop`."""
        return self._executor.submit(self._work, work, args)

    def _work(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        close_old_connections()
        connection: Any = connections["default"]
        self._opened[threading.get_ident()] = connection
        if time.monotonic() - getattr(self._answered, "at", NEVER) < FRESH_S:
            connection.health_check_done = True
        try:
            result = work(*args)
        except Error:
            self._answered.at = NEVER
            connection.close_if_unusable_or_obsolete()
            raise
        self._answered.at = time.monotonic()
        return result

    async def stop(self) -> None:
        """Waits for functions that have started, and closes the connections. May be called twice.

        It waits at most `STOP_S` for a database that hangs: functions that have not started by then
        are cancelled. Cancelling is safe: the work goes on, and the next call waits for it.
        """
        if self._ending is None:
            # In a thread: Django closes no connection where an event loop runs.
            self._ending = threading.Thread(target=self._end, name="database-end", daemon=True)
            self._ending.start()
        await asyncio.to_thread(self._ending.join, STOP_S)
        if self._ending.is_alive():
            logger.warning("database_work_left_running")
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _end(self) -> None:
        self._executor.shutdown()
        for connection in self._opened.values():
            connection.inc_thread_sharing()
            _close(connection)
        self._opened.clear()


def drop_connection() -> None:
    """Closes this thread's connection, which may be broken."""
    _close(connections["default"])


def _close(connection: Any) -> None:
    try:
        connection.close()
    except Error as error:
        logger.debug("connection_was_gone", error=str(error))
