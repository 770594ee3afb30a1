"""The worker of a server that serves one agent file: its child, started again when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from agents.runs.child import Child, LogForm, NotStarted
from agents.runs.run_folder import Stay
from agents.runs.workers import Workers
from agents.runtime import background
from agents.runtime.background import Background

logger = structlog.get_logger(__name__)

WATCH_S = 0.2
"""Seconds between two checks that the worker lives and answers."""

FIRST_DELAY_S = 0.2
LAST_DELAY_S = 60.0
HEALTHY_S = 10.0
"""Seconds after which a crash does not count as repeated: the next start is immediate."""


class Delays:
    """How long to wait before the next start: not at all at first, then longer each time."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def next(self) -> float:
        delay_s = self._next_s
        self._next_s = min(LAST_DELAY_S, max(FIRST_DELAY_S, delay_s * 2))
        return delay_s

    def reset(self) -> None:
        self._next_s = 0.0


def log_failure(error: Exception) -> None:
    """The usual `on_failure`."""
    logger.error("worker_not_started", error=str(error))


class StandaloneWorker:
    """Keeps one worker for `file` in the pool of `service`. A `Feeder`.

    Its methods belong to the event loop. `python`: the interpreter that runs
    the worker; this process's own if empty. `is_patient`: what keeps the first
    worker from starting is like any later failure: told to `on_failure`, and
    tried again, after a delay or as soon as the file has changed.
    """

    def __init__(
        self,
        file: Path | str,
        service: str,
        *,
        python: str = "",
        is_debug: bool = False,
        log_form: LogForm = "lines",
        is_patient: bool = False,
    ) -> None:
        self.service = service
        self.source = str(Path(file).expanduser().resolve())
        self.workers = Workers()
        self.on_failure: Callable[[Exception], None] = log_failure
        self._file = str(file)
        self._python = python
        self._pool = self.workers.of(service)
        self._pool.shares_log = True
        self._is_debug = is_debug
        self._log_form = log_form
        self._is_patient = is_patient
        self._launched: Child | None = None
        """A worker that was launched and that nothing waits for yet."""
        self._child: Child | None = None
        """The worker that serves: it has been ready."""
        self._ready_at = 0.0
        self._due_at = 0.0
        self._delays = Delays()
        self._attempt: asyncio.Task[None] | None = None
        self._has_changed = asyncio.Event()
        self._has_worker = asyncio.Event()
        self._stay: Stay | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._leaving = Background()
        self._told = ""

    def launch(self) -> None:
        """Starts the process without waiting for it; `start` does. Needs no event loop.

        Raises `NotLaunched` and `ImproperlyConfigured`, unless it is patient.
        """
        if self._launched is None and self._child is None and self._keeper is None:
            try:
                self._launched = self._new_child()
            except (NotStarted, ImproperlyConfigured):
                # Patience: it is tried again, and told, by the first attempt.
                if not self._is_patient:
                    raise

    async def start(self) -> None:
        """Waits until a worker is ready, which is kept from then on.

        Raises `NotStarted` and `ImproperlyConfigured`, unless it is patient;
        then it may be called again.
        """
        if self._keeper is None:
            if not self._is_patient:
                await self._bring_one()
            self._keeper = asyncio.get_running_loop().create_task(self._keep())
        await self._has_worker.wait()

    def renew(self) -> None:
        """Called when the file has changed: a new worker takes over as soon as it is ready.

        A worker that is still loading is replaced. The present one serves until then, and finishes
        its runs. If the file can't be loaded, the present one continues to serve.
        """
        self._has_changed.set()

    async def cease(self) -> None:
        """Starts no more workers; the present one keeps running. May be called twice."""
        if self._keeper is not None:
            await background.end([self._keeper])
        await self._give_up_attempt()

    async def stop(self) -> None:
        """Ends the worker; its runs can be continued from the log. May be called twice."""
        await self.cease()
        await self._leaving.stop()
        child, self._child = self._child, None
        if child is not None:
            await child.end()
        stay, self._stay = self._stay, None
        if stay is not None:
            stay.end()

    # Starting a worker.

    def _new_child(self) -> Child:
        if self._stay is None:
            self._stay = Stay()
        return Child(
            self._file, python=self._python, is_debug=self._is_debug, log_form=self._log_form
        )

    async def _bring_one(self) -> None:
        """Puts a worker in the place of the present one. Cancelling ends it.

        Raises `NotStarted` and `ImproperlyConfigured`.
        """
        heir, self._launched = self._launched or self._new_child(), None
        try:
            link = await heir.connect()
        except BaseException:
            await heir.end(0)
            raise
        former, self._child = self._child, heir
        if former is not None and former.link is not None:
            # At once: the next run goes to the new worker.
            former.link.is_draining = True
            self._leaving.start(self._retire(former))
        self._pool.add(link)
        self._ready_at = asyncio.get_running_loop().time()
        self._told = ""
        self._has_worker.set()

    async def _retire(self, child: Child) -> None:
        """Lets the worker finish its runs. Cancelling ends that early."""
        try:
            if child.link is not None and not child.link.is_closed:
                child.link.drain()
                async with asyncio.timeout(settings.MYAGENT_SHUTDOWN_GRACE_S):
                    await child.ended()
        except TimeoutError:
            logger.warning("runs_moved", pid=child.pid)
        finally:
            await child.end()

    # Keeping a worker.

    async def _keep(self) -> None:
        """Starts the worker again whenever it ends, with growing delays."""
        while True:
            try:
                await self._see_to_it()
            except Exception:
                # Nothing else would start it again.
                logger.exception("worker_not_seen_to")
            await self._until_news()

    async def _see_to_it(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._child is not None:
            self._look_after(self._child, now)
        if self._has_changed.is_set():
            self._has_changed.clear()
            self._told = ""
            self._delays.reset()
            await self._give_up_attempt()
            self._begin()
        elif self._attempt is not None:
            if self._attempt.done():
                self._conclude(now)
        elif self._child is None and now >= self._due_at:
            self._begin()

    def _look_after(self, child: Child, now: float) -> None:
        """Checks that the worker lives and answers; kills it if it does not answer."""
        link = child.link
        if link is None or link.is_closed or child.poll() is not None:
            self._child = None
            if now - self._ready_at >= HEALTHY_S:
                self._delays.reset()
            self._due_at = now + self._delays.next()
            self._leaving.start(self._bury(child))
        elif link.silent_for_s > settings.MYAGENT_WORKER_STUCK_S:
            logger.error("worker_stuck", pid=child.pid)
            child.kill()

    async def _bury(self, child: Child) -> None:
        """A dying process closes its link just before it is gone; one that lives on is ended."""
        await child.end()
        logger.error("worker_ended", status=child.poll(), pid=child.pid)

    def _begin(self) -> None:
        self._attempt = asyncio.get_running_loop().create_task(self._bring_one())

    def _conclude(self, now: float) -> None:
        """Tries again after a failure; while a worker still serves, only when the file changes."""
        attempt, self._attempt = self._attempt, None
        assert attempt is not None
        error = attempt.exception()
        if error is None:
            return
        self._due_at = now + self._delays.next()
        if not isinstance(error, NotStarted | ImproperlyConfigured):
            raise error
        if str(error) != self._told:
            self._told = str(error)
            self.on_failure(error)

    async def _give_up_attempt(self) -> None:
        """Ends the worker that is still loading, if there is one."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            await background.end([attempt])
        child, self._launched = self._launched, None
        if child is not None:
            await child.end(0)

    async def _until_news(self) -> None:
        """Waits for an end, a change of the file, or a moment."""
        loop = asyncio.get_running_loop()
        news: list[asyncio.Task[object]] = [loop.create_task(self._has_changed.wait())]
        if self._child is not None and self._child.link is not None:
            news.append(loop.create_task(self._child.link.until_closed()))
        attempt = [] if self._attempt is None else [self._attempt]
        try:
            await asyncio.wait(
                [*news, *attempt], timeout=WATCH_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in news:
                task.cancel()
