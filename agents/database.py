"""Database work for the event loop: a few threads that mind their own connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, close_old_connections, connections

T = TypeVar("T")

THREADS = 4


class DatabaseThreads:
    """Runs plain functions that use the ORM."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="database")
        self._opened: dict[int, Any] = {}

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """The function's result. Cancelling is safe: the function runs to its end."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, self._work, work, args
        )

    def _work(self, work: Callable[..., T], args: tuple[Any, ...]) -> T:
        close_old_connections()
        self._opened[threading.get_ident()] = connections["default"]
        try:
            return work(*args)
        except (DatabaseError, InterfaceError):
            connections["default"].close_if_unusable_or_obsolete()
            raise

    async def stop(self) -> None:
        """Waits for what is under way and closes the connections."""
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        # In a thread: Django closes no connection where an event loop runs.
        self._executor.shutdown()
        for connection in self._opened.values():
            connection.inc_thread_sharing()
            connection.close()
        self._opened.clear()
