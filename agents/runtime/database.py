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

from agents.runtime.database_errors import is_about_the_server

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
        check_connection()
        connection: Any = connections["default"]
        self._opened[threading.get_ident()] = connection
        if time.monotonic() - getattr(self._answered, "at", NEVER) < FRESH_S:
            connection.health_check_done = True
        try:
            result = work(*args)
        except Error as error:
            note_failure(error)
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


class _Moves:
    """How often the database was found at a server that takes no writes. Thread-safe.

    When a copy has been promoted, connections to the former primary stay open, and could still read
    what nobody writes any more. So the connections of all threads are left then.
    """

    def __init__(self) -> None:
        self._count = 0
        self._seen = threading.local()

    def note(self) -> None:
        self._count += 1

    def is_new(self) -> bool:
        """Whether there was one since this thread asked last."""
        before, self._seen.count = getattr(self._seen, "count", 0), self._count
        return bool(before != self._seen.count)


_moves = _Moves()


def check_connection() -> None:
    """Before work: closes this thread's connection if it is old, or to a server of before."""
    if _moves.is_new():
        drop_connection()
    close_old_connections()


def note_failure(error: Error) -> None:
    """After work that failed: every thread leaves a server that takes no writes."""
    if is_about_the_server(error):
        _moves.note()


def drop_connection() -> None:
    """Closes this thread's connection, which may be broken."""
    _close(connections["default"])


def _close(connection: Any) -> None:
    try:
        connection.close()
    except Error as error:
        logger.debug("connection_was_gone", error=str(error))
