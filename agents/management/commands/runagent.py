"""`manage.py runagent FILE`: one agent file as a WebSocket service."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure
from django.utils import translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext, gettext_noop
from filelock import Timeout

from agents import checks
from agents.ownership.servers import NameTaken
from agents.runs.child import FileRefused, NotLaunched, NotStarted, WorkerDied
from agents.runs.reloading import Changes
from agents.runs.standalone import StandaloneWorker
from agents.runtime import file_pages, logs, systemd
from agents.runtime.addresses import address_of
from agents.runtime.background import Background
from agents.runtime.exit_status import CONFIGURATION_ERROR
from agents.runtime.explaining import explain_to_reader
from agents.runtime.listening import add_address, listen
from agents.sentences import tell
from agents.terminal.command import TerminalCommand, in_language_of_site, set_up_logs
from agents.terminal.encoding import shows
from agents.terminal.greeting import MARKS, greeting
from agents.terminal.inert import readable

if TYPE_CHECKING:
    from agents.serving import ServerProcess

logger = structlog.get_logger(__name__)

FAILURES = (DatabaseFailure, ImproperlyConfigured, NameTaken, Timeout, NotStarted)
"""What keeps a server from starting, or ends it, each with its own sentence."""


class Command(TerminalCommand):
    help = gettext_noop("Runs one agent file as a WebSocket service.")
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "file",
            metavar="FILE",
            nargs="?",
            help=gettext("the agent file, such as my_agent.py"),
        )
        add_address(parser, 8080)
        parser.add_argument(
            "--name",
            type=service_name,
            help=gettext("the service's name; the file's stem by default"),
        )
        parser.add_argument(
            "--python",
            metavar="PATH",
            help=gettext("the interpreter that runs the agent; this command's own by default"),
        )
        parser.add_argument(
            "--debug",
            action="store_true",
            help=gettext("log everything that happens, with tracebacks"),
        )
        parser.add_argument(
            "--reload", action="store_true", help=gettext("restart when the agent file changes")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        set_up_logs(is_debug=options["debug"])
        if options["file"] is None:
            raise CommandError(gettext("Name an agent file."), returncode=2)
        self._file = options["file"]
        self._lang = translation.get_language() or settings.LANGUAGE_CODE
        listener = listen(options["host"], options["port"])
        with contextlib.closing(listener):
            self.serve(listener, options)

    def serve(self, listener: socket.socket, options: dict[str, Any]) -> None:
        worker = self.launch(options)
        # Started now, while the worker loads the agent file: both take about as long.
        from agents.runtime.server import new_event_loop
        from agents.serving import standalone

        server = standalone(worker)
        self.warn_about(listener)
        lease = server.conversations.lease
        lease.port = listener.getsockname()[1]
        lease.address = url = address_of(options["host"], lease.port)
        self._farewell = gettext(
            "Waiting for the runs to end; interrupt again to stop them at once."
        )

        def ready() -> None:
            agent = worker.workers.of(server.service).agent
            # A log that takes no more is no reason not to serve.
            with contextlib.suppress(OSError), translation.override(self._lang):
                lines = greeting(
                    server.service,
                    url,
                    self._file,
                    agent,
                    is_marked=self._is_marked,
                    has_traces=apps.is_installed("traces"),
                )
                self.stdout.write(lines)
                if (line := file_pages.said_at_start(listener.getsockname()[0])) is not None:
                    self.stdout.write(line)
                self.stdout.flush()
            systemd.tell_ready()

        try:
            with in_language_of_site(), asyncio.Runner(loop_factory=new_event_loop) as loop:
                code = loop.run(self._serve(server, worker, listener, ready, options))
        except FAILURES as error:
            raise self._failure(error, server.service) from error
        if code:
            sys.exit(code)

    def _failure(self, error: Exception, service: str) -> CommandError:
        """The sentence about one of `FAILURES`."""
        match error:
            case NotStarted():
                return self._refusal(error)
            case NameTaken():
                sentence = gettext(
                    "Another agent file is served as '{service}' already, {file}: choose another "
                    "name with --name."
                ).format(service=service, file=error.source)
            case Timeout():
                sentence = gettext(
                    "Another process has been preparing the database for two minutes: see to that "
                    "one first ({file})."
                ).format(file=error.lock_file)
            case ImproperlyConfigured():
                sentence = gettext("The settings are wrong: {reason}").format(reason=error)
            case _:
                sentence = gettext("The database can't be used: {reason}").format(
                    reason=readable(explain_to_reader(error))
                )
        return CommandError(sentence)

    def launch(self, options: dict[str, Any]) -> StandaloneWorker:
        """The worker of the agent file, which has started loading it. Raises `CommandError`."""
        file = options["file"]
        try:
            name = service_name(options["name"] or Path(file).stem or "agent")
        except argparse.ArgumentTypeError as error:
            raise CommandError(
                gettext(
                    "The file's name is no name for a service: {reason} Choose one with --name."
                ).format(reason=error),
                returncode=CONFIGURATION_ERROR,
            ) from error
        python = options["python"] or ""
        if python and shutil.which(python) is None:
            raise CommandError(
                gettext("There is no interpreter {path}.").format(path=python),
                returncode=CONFIGURATION_ERROR,
            )
        worker = StandaloneWorker(
            file,
            name,
            python=python,
            is_debug=options["debug"],
            log_form=logs.form(),
            is_patient=options["reload"],
        )
        if options["reload"]:
            # Nothing is launched before the file is watched.
            worker.on_failure = self._complain
            return worker
        try:
            worker.launch()
        except ImproperlyConfigured as error:
            raise CommandError(
                gettext("The settings are wrong: {reason}").format(reason=error)
            ) from error
        except NotStarted as error:
            raise self._refusal(error) from error
        return worker

    async def _serve(
        self,
        server: ServerProcess,
        worker: StandaloneWorker,
        listener: socket.socket,
        ready: Callable[[], None],
        options: dict[str, Any],
    ) -> int:
        from agents.runtime.server import MainServer, configuration

        reloading = Background()
        try:
            application = import_string(settings.MYAGENT_APPLICATION)(server)
            web = MainServer(
                configuration(
                    application,
                    is_debug=options["debug"],
                    admission=server.connections.admission,
                ),
                prepare=server.prepare,
                ready=ready,
                leave=lambda: self._leave(server, web.stop_listening),
            )
            if options["reload"]:
                reloading.start(_reload(worker, await _watch(Path(server.source).parent)))
            await web.serve(sockets=[listener])
        finally:
            await reloading.stop()
            await server.leave(0)
        return 0 if web.started or web.is_leaving else 1

    async def _leave(self, server: ServerProcess, stop_listening: Callable[[], None]) -> None:
        if server.conversations.running_count:
            # A log that can no longer be written is no reason to keep running.
            with contextlib.suppress(OSError):
                self.stdout.write(self._farewell)
                self.stdout.flush()
        await server.leave(settings.MYAGENT_SHUTDOWN_GRACE_S, stop_listening=stop_listening)

    @property
    def _is_marked(self) -> bool:
        """Whether the output is a terminal that can show the marks."""
        return self.stdout.isatty() and shows("".join(MARKS), sys.stdout.encoding)

    def _complain(self, error: Exception) -> None:
        with translation.override(self._lang):
            self.stderr.write(self.style.ERROR(self._why(error)))

    def _refusal(self, error: NotStarted) -> CommandError:
        """Why there is no worker. The exit status tells whether another attempt is pointless."""
        status = 1 if isinstance(error, NotLaunched | WorkerDied) else CONFIGURATION_ERROR
        return CommandError(self._why(error), returncode=status)

    def _why(self, error: Exception) -> str:
        match error:
            case FileRefused():
                return tell(self._lang, error.said)
            case NotLaunched():
                sentence = gettext("The process could not be started: {reason}.")
            case WorkerDied():
                sentence = gettext(
                    "The process that loads {file} ended with status {status} before it was ready."
                )
            case NotStarted():
                sentence = gettext(
                    "The process that loads {file} does not speak this protocol: {reason}."
                )
            case _:
                sentence = gettext("The settings are wrong: {reason}")
        status = error.status if isinstance(error, WorkerDied) else 0
        return sentence.format(file=self._file, reason=error, status=status)

    def warn_about(self, listener: socket.socket) -> None:
        sentence = gettext(
            "WARNING: {address} can be reached from other machines, and there is no "
            "authentication: whoever can connect can use this agent."
        )
        self.warn_where_open(sentence, listener)


async def _watch(folder: Path) -> Changes:
    """Raises `CommandError`."""
    changes = Changes(folder)
    try:
        await changes.watch()
    except OSError as error:
        raise CommandError(
            gettext("The folder {folder} can't be watched for changes: {reason}.").format(
                folder=folder, reason=error.strerror or error
            ),
            returncode=CONFIGURATION_ERROR,
        ) from error
    return changes


async def _reload(worker: StandaloneWorker, changes: Changes) -> None:
    async for _ in changes:
        logger.info("agent_file_changed")
        worker.renew()


def service_name(text: str) -> str:
    if not text.isprintable() or "/" in text or not 0 < len(text) <= 100:
        raise argparse.ArgumentTypeError(
            gettext("a name has 1 to 100 printable characters and no slash.")
        )
    return text
