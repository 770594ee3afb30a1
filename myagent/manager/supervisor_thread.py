"""A supervisor and a server in this process, independent of the program's event loop."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - its threads must outlive ours; see below
import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from myagent.manager.database import set_up
from myagent.manager.errors import ManagerError, NotRunning, plain_errors

START_S = 60.0
"""Seconds until the supervisor must work: one started by a command needs time to make room."""

LOOK_S = 0.05

logger = logging.getLogger(__name__)


class SupervisorThread:
    """Supervises on an event loop of its own, in a thread of its own; for one start and stop.

    A program that blocks its own loop does not lose the supervisor's lease.
    While another supervisor is there, this one stands by. Its methods may be
    called from any thread.
    """

    def __init__(self, health_interval_s: float | None) -> None:
        self.ready: Future[None] = Future()
        """Done once something supervises. Fails with a `ManagerError`."""
        self.ended: Future[None] = Future()
        """Done when the thread has ended completely. Fails if it ended unexpectedly once ready."""
        self.database: Any = None
        """`agents.runtime.database.DatabaseThreads`, there when ready."""
        self._health_interval_s = health_interval_s
        self._supervisor: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-manager", daemon=True)

    def start(self) -> None:
        _alive.add(self)
        self._thread.start()

    @property
    def is_leaving(self) -> bool:
        return self._is_leaving.is_set() or self.ended.done()

    def leave(self) -> None:
        """Ends the instances that it supervises, then itself. May be called twice, and early."""
        self._is_leaving.set()
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed: it has left.
                self._loop.call_soon_threadsafe(self._heed)

    async def wait_until_ready(self) -> None:
        """Cancelling is safe: it goes on starting. Raises `ManagerError`."""
        await _until_done(self.ready)

    async def wait_until_ended(self) -> None:
        """Cancelling is safe: it goes on leaving."""
        await _until_done(self.ended)
        self.join()  # It has nothing left to do.

    def join(self) -> None:
        """Blocks until it has ended."""
        self._thread.join()

    def _heed(self) -> None:
        if self._supervisor is not None and self._is_leaving.is_set():
            self._supervisor.leave()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            with plain_errors():
                set_up()
                asyncio.run(self._live())
        except BaseException as error:
            failure = error
        self._tell(failure)
        _alive.discard(self)

    def _tell(self, failure: BaseException | None) -> None:
        if not self.ready.done():
            stopped = NotRunning("The manager was stopped while it started.")
            self.ready.set_exception(failure or stopped)
        elif failure is not None:
            logger.error("supervision ended", exc_info=failure)
            self.ended.set_exception(failure)
            return
        self.ended.set_result(None)

    async def _live(self) -> None:
        from django.conf import settings

        from agents.runtime import schema
        from agents.runtime.database import DatabaseThreads
        from services.routing.embedded import EmbeddedServer
        from services.supervision.supervisor_process import SupervisorProcess

        server = EmbeddedServer()
        self._loop = asyncio.get_running_loop()
        self.database = DatabaseThreads()
        try:
            await self.database.run(schema.apply_pending, settings.VAR_DIR)
            await server.start(self.database)
            self._supervisor = SupervisorProcess(
                takes_instances_along=True, health_interval_s=self._health_interval_s
            )
            self._heed()  # What was said before it could hear.
            await self._supervise()
        finally:
            await server.stop()
            await self.database.stop()

    async def _supervise(self) -> None:
        announcement = asyncio.create_task(self._announce())
        try:
            await self._supervisor.run()
        finally:
            announcement.cancel()
            await asyncio.gather(announcement, return_exceptions=True)

    async def _announce(self) -> None:
        """Tells once somebody supervises; that takes as long as one that makes room needs."""
        from django.db import Error as DatabaseFailure

        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with suppress(DatabaseFailure):  # The supervisor tells, and tries again.
                if await self.database.run(_is_supervised_for_good):
                    self.ready.set_result(None)
                    return
            await asyncio.sleep(LOOK_S)
        self.ready.set_exception(
            ManagerError(f"After {START_S:g} seconds nothing supervises the services yet.")
        )
        self.leave()


async def _until_done(future: Future[None]) -> None:
    """Raises what the future raises; cancelling leaves it alone."""
    loop = asyncio.get_running_loop()
    is_done = asyncio.Event()

    def tell(_: Future[None]) -> None:
        with suppress(RuntimeError):  # Nobody waits any more: the loop is closed.
            loop.call_soon_threadsafe(is_done.set)

    future.add_done_callback(tell)
    await is_done.wait()
    future.result()


def _is_supervised_for_good() -> bool:
    """Whether there is a supervisor, in this process or another, that does not make room."""
    from services.supervision.supervisor_lease import live_supervisor

    found = live_supervisor()
    return found is not None and not found.is_automatic


_alive: set[SupervisorThread] = set()


def _leave_with_the_program() -> None:
    """Even a program that ends without stopping its manager leaves no process behind."""
    threads = list(_alive)
    for thread in threads:
        thread.leave()
    for thread in threads:
        thread.join()


# `atexit` comes too late: by then no pool takes work, and leaving needs the database.
getattr(threading, "_register_atexit", atexit.register)(_leave_with_the_program)
