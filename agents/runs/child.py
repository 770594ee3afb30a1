"""A worker process that is a child of this server: starting, connecting to and ending it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Literal

import structlog
from django.conf import settings

from agents.runs.link import Link, LinkFailed, dial
from agents.runs.worker_process import Paths, command_of, environment_for
from agents.runtime.ids import new_id
from agents.runtime.process import identity_of, is_alive
from agents.sentences import tell
from myagent.env_file import EnvFileError
from myagent.sentence import Said
from myagent.worker.protocol import LinkError, said_of

logger = structlog.get_logger(__name__)

LOOK_S = 0.01
"""Seconds between two attempts to connect to a worker that is starting."""

DYING_S = 6.0
"""Seconds that a worker which broke off the handshake may take to end.

More than `myagent.worker.signals.MAX_EXIT_S`, the time for exit handlers of agent code: a worker
that is still alive after that was not about to end, and can't be talked to.
"""

END_S = 3.0
"""Seconds that a worker has for an orderly end once it is told to end."""

KILLED_S = 1.0
"""Seconds that the system may take to end a killed process."""

LogForm = Literal["lines", "json", "console"]


class NotStarted(Exception):
    """There is no worker; says why."""


class NotLaunched(NotStarted):
    """The system can't start a process."""


class FileRefused(NotStarted):
    """The agent file can't be loaded; `said` gives the reason."""

    def __init__(self, said: Said) -> None:
        super().__init__(tell("en", said))
        self.said = said


class WorkerDied(NotStarted):
    """The worker ended before it was ready. `status` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it ended with status {status}")
        self.status = status


class WorkerUnfit(NotStarted):
    """The worker does not speak this server's protocol."""


class Child:
    """One worker process. It ends when this process ends, because it watches a pipe from it.

    It runs as soon as it is created. On a terminal it shares the foreground with this process, so
    that a debugger can be used; elsewhere it leads a process group, which ends with it. Raises
    `NotLaunched`, `FileRefused` for the `.env` beside the file, and `ImproperlyConfigured` for the
    var folder.
    """

    def __init__(self, file: str, *, python: str, is_debug: bool, log_form: LogForm) -> None:
        self.instance_id = new_id()
        self.paths = Paths.of(self.instance_id)
        self.link: Link | None = None
        is_terminal = sys.stdin is not None and sys.stdin.isatty()
        self._leads_group = not is_terminal
        self._status: int | None = None
        options = [f"--log-form={log_form}", *(["--debug"] if is_debug else [])]
        if sys.stderr is not None and sys.stderr.isatty():
            options.append("--terminal")
        if settings.MYAGENT_LOG_FILE:
            options.append(f"--log-file={settings.MYAGENT_LOG_FILE}")
        options += self.paths.options
        command = command_of(file, self.instance_id, *options, python=python)
        try:
            environment = environment_for(file, os.environ)
        except EnvFileError as error:
            raise FileRefused(said_of(error.sentence)) from error
        try:
            self._launch(command, environment, None if is_terminal else subprocess.DEVNULL)
        except OSError as error:
            raise NotLaunched(error.strerror or str(error)) from error
        self.pid = self._process.pid
        self._identity = identity_of(self.pid)

    def _launch(self, command: list[str], environment: dict[str, str], stdin: int | None) -> None:
        held, self._pipe = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*command, f"--parent-fd={held}"],
                env=environment,
                stdin=stdin,
                pass_fds=[held],
                process_group=0 if self._leads_group else None,
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(held)

    async def connect(self) -> Link:
        """The link, once the worker is ready.

        Raises `FileRefused`, `WorkerDied` and `WorkerUnfit`. An agent file may
        take as long as it likes to load. Cancelling is safe.
        """
        while True:
            status = self.poll()
            if status is not None:
                raise self._why_it_ended(status)
            if self.paths.socket.exists():
                link = await self._dial()
                if link is not None and not link.is_closed:
                    self.link = link
                    return link
            await asyncio.sleep(LOOK_S)

    async def _dial(self) -> Link | None:
        """None if the worker does not listen yet or has just ended. Raises `WorkerUnfit`."""
        try:
            return await dial(self.paths.socket, f"server {os.getpid()}", timeout_s=None)
        except LinkFailed as error:
            if isinstance(error.__cause__, OSError):
                return None
            try:
                async with asyncio.timeout(DYING_S):
                    await self.ended()
            except TimeoutError:
                raise WorkerUnfit(str(error)) from error
        return None

    def _why_it_ended(self, status: int) -> NotStarted:
        try:
            return FileRefused(self.paths.why_refused())
        except (OSError, LinkError):
            return WorkerDied(status)

    def poll(self) -> int | None:
        """Its exit status if it has ended; then the rest of its group is ended, too."""
        if self._status is None and not self._is_alive():
            # Before the status is collected: after that its pid may be reused.
            self._kill_group()
            self._status = self._process.poll()
        return self._status

    async def ended(self) -> int:
        """Waits for its exit status. Cancelling is safe."""
        while (status := self.poll()) is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK_S)
        return status

    def kill(self) -> None:
        """Kills it and its group."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._kill_group()

    async def end(self, grace_s: float = END_S) -> None:
        """Tells the worker to end, waits for an orderly end, and kills what is left.

        The runs of this server on it are cancelled. It is killed at once if there is no grace
        period, on cancellation, and at a debugger's prompt, where it would not react. May be called
        twice.
        """
        is_debugging = self.link is not None and self.link.is_debugging
        try:
            self._hang_up()
            if grace_s and not is_debugging and self.poll() is None:
                os.kill(self.pid, signal.SIGTERM)
                async with asyncio.timeout(grace_s):
                    await self.ended()
        except TimeoutError:
            logger.warning("worker_killed", pid=self.pid)
        finally:
            self.kill()
            self._close_pipe()
            try:
                async with asyncio.timeout(KILLED_S):
                    await self.ended()
            except TimeoutError:
                logger.error("worker_not_gone", pid=self.pid)
            finally:
                self.paths.remove()

    def _hang_up(self) -> None:
        if self.link is not None:
            self.link.close()

    def _close_pipe(self) -> None:
        if self._pipe != -1:
            os.close(self._pipe)
            self._pipe = -1

    def _is_alive(self) -> bool:
        return self._identity is not None and is_alive(self._identity)

    def _kill_group(self) -> None:
        if self._leads_group:
            # The group may be empty or, on systems other than Linux, consist of ended processes.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
