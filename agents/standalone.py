"""The worker of a server that serves one agent file: its child, started again when it ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import structlog
from django.conf import settings

from agents.background import Background
from agents.ids import new_id
from agents.link import Link, LinkFailed, dial
from agents.run_folder import Stay
from agents.worker_process import Paths, command_of, with_sdk
from agents.workers import Workers
from myagent.worker.protocol import LinkError, Said

logger = structlog.get_logger(__name__)

LOOK_S = 0.01
"""Seconds between two looks whether a worker that starts can be talked to."""

WATCH_S = 0.2
"""Seconds between two looks whether it still lives and answers."""

FIRST_DELAY_S = 0.2
LAST_DELAY_S = 60.0
HEALTHY_S = 10.0
"""Seconds after which an end is no part of a row of them: the next start is immediate again."""

END_S = 2.0
"""Seconds that a worker has to end once it was told to."""


class FileRefused(Exception):
    """The agent file can't be loaded; `said` is why."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.template)
        self.said = said


class WorkerDied(Exception):
    """The worker ended before it was ready. `status` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Child:
    """One worker process. It ends with this one: it holds the other end of a pipe.

    Made, it runs. Raises `OSError`, and `ImproperlyConfigured` for the var folder.
    """

    def __init__(self, file: str, *, python: str, is_debug: bool) -> None:
        self.instance_id = new_id()
        self.paths = Paths.of(self.instance_id)
        self.link: Link | None = None
        held, self._pipe = os.pipe()
        options = [f"--parent-fd={held}", *(["--debug"] if is_debug else [])]
        if sys.stderr is not None and sys.stderr.isatty():
            options.append("--terminal")
        is_terminal = sys.stdin is not None and sys.stdin.isatty()
        try:
            # On a terminal it shares the foreground, so that a debugger can be talked to.
            self.process = subprocess.Popen(
                command_of(file, self.instance_id, *options, python=python),
                env=with_sdk(os.environ),
                stdin=None if is_terminal else subprocess.DEVNULL,
                pass_fds=[held],
            )
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(held)

    async def connect(self) -> Link:
        """The link, once the worker is ready. Raises `FileRefused`, `WorkerDied`, `LinkFailed`.

        An agent file may take as long as it likes to load.
        """
        while True:
            status = self.process.poll()
            if status is not None:
                raise self._why_it_ended(status)
            if self.paths.socket.exists():
                try:
                    self.link = await dial(
                        self.paths.socket, f"server {os.getpid()}", timeout_s=None
                    )
                except LinkFailed as error:
                    # It listens a moment later, or has just ended.
                    if self.process.poll() is None and not isinstance(error.__cause__, OSError):
                        await asyncio.sleep(WATCH_S)
                        if self.process.poll() is None:
                            raise
                else:
                    return self.link
            await asyncio.sleep(LOOK_S)

    def _why_it_ended(self, status: int) -> Exception:
        try:
            return FileRefused(self.paths.why_refused())
        except (OSError, LinkError):
            return WorkerDied(status)

    def let_go(self) -> None:
        """Tells it to end at once. May be called twice."""
        if self.link is not None:
            self.link.close()
        if self._pipe != -1:
            os.close(self._pipe)
            self._pipe = -1

    async def end(self, grace_s: float = END_S) -> None:
        """Waits until it has ended, and kills what does not. Cancelling kills it."""
        self.let_go()
        try:
            async with asyncio.timeout(grace_s):
                await self.ended()
        except TimeoutError:
            logger.warning("worker_killed", pid=self.process.pid)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.paths.remove()

    async def ended(self) -> int:
        """Its exit status, once it has one."""
        while (status := self.process.poll()) is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK_S)
        return status


class StandaloneWorker:
    """Keeps one worker for `file` in the pool of `service`. Its methods belong to the event loop.

    `python`: the interpreter that runs it; this process's own if empty.
    """

    def __init__(
        self, file: Path | str, service: str, *, python: str = "", is_debug: bool = False
    ) -> None:
        self.service = service
        self.source = str(Path(file).expanduser().resolve())
        self.workers = Workers()
        self._file = str(file)
        self._python = python
        self._pool = self.workers.of(service)
        self._is_debug = is_debug
        self._child: Child | None = None
        self._stay: Stay | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._retiring = Background()
        self._is_changing = asyncio.Lock()

    def launch(self) -> None:
        """Starts the process without waiting for it; `start` does. Needs no event loop."""
        if self._stay is None:
            self._stay = Stay()
        if self._child is None:
            self._child = self._new_child()

    async def start(self) -> None:
        """Waits until the worker is ready. Raises `FileRefused` and `WorkerDied`."""
        self.launch()
        assert self._child is not None
        child = self._child
        try:
            self._pool.add(await child.connect())
        except BaseException:
            self._child = None
            await child.end()
            raise
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def restart(self) -> None:
        """Puts a new worker in its place, which takes over once it is ready.

        The former one finishes what it has meanwhile: nobody waits for that.
        Raises `FileRefused`, `WorkerDied` and `LinkFailed`; then the present one
        serves on.
        """
        async with self._is_changing:
            heir = self._new_child()
            try:
                self._pool.add(await heir.connect())
            except BaseException:
                await heir.end()
                raise
            former, self._child = self._child, heir
            if former is not None:
                if former.link is not None:
                    # At once: the next run is the heir's.
                    former.link.is_draining = True
                self._retiring.start(self._retire(former))

    async def stop(self) -> None:
        """Ends the worker; its runs are left to the log. May be called twice."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._retiring.stop()
        child, self._child = self._child, None
        if child is not None:
            await child.end()
        stay, self._stay = self._stay, None
        if stay is not None:
            stay.end()

    def _new_child(self) -> Child:
        return Child(self._file, python=self._python, is_debug=self._is_debug)

    async def _retire(self, child: Child) -> None:
        """Lets it finish what it has. Cancelling ends it at once."""
        try:
            if child.link is not None and not child.link.is_closed:
                child.link.drain()
                async with asyncio.timeout(settings.MYAGENT_SHUTDOWN_GRACE_S):
                    await child.ended()
        except TimeoutError:
            logger.warning("runs_moved", pid=child.process.pid)
        finally:
            await child.end()

    async def _keep(self) -> None:
        """Starts the worker again whenever it ends, sooner at first than later."""
        delay_s = 0.0
        while True:
            child = self._child
            assert child is not None
            began = asyncio.get_running_loop().time()
            await self._until_it_ends(child)
            if child is not self._child:
                continue  # Another has its place already.
            if asyncio.get_running_loop().time() - began >= HEALTHY_S:
                delay_s = 0.0
            logger.error("worker_ended", status=child.process.poll(), pid=child.process.pid)
            await child.end()
            delay_s = await self._replace(child, delay_s)

    async def _until_it_ends(self, child: Child) -> None:
        while child.process.poll() is None and child is self._child:
            link = child.link
            if link is not None and link.silent_for_s > settings.MYAGENT_WORKER_STUCK_S:
                logger.error("worker_stuck", pid=child.process.pid)
                child.process.kill()
            if link is None:
                await asyncio.sleep(WATCH_S)
            elif link.is_closed:
                # A process that dies ends its link a moment before it is gone.
                await child.end()
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(WATCH_S):
                        await link.until_closed()

    async def _replace(self, former: Child, delay_s: float) -> float:
        """Tries until there is one; how long to wait before the next time."""
        while True:
            await asyncio.sleep(delay_s)
            delay_s = min(LAST_DELAY_S, max(FIRST_DELAY_S, delay_s * 2))
            async with self._is_changing:
                if self._child is not former:
                    return delay_s
                child = self._new_child()
                try:
                    self._pool.add(await child.connect())
                except (FileRefused, WorkerDied, LinkFailed) as error:
                    logger.error("worker_not_started", error=str(error))
                    await child.end()
                except BaseException:
                    await child.end()
                    raise
                else:
                    self._child = child
                    return delay_s
