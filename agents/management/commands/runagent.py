"""`manage.py runagent FILE`: one agent file as a WebSocket service."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure
from django.utils import translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext, gettext_noop
from filelock import Timeout

from agents import checks, logs
from agents.addresses import address_of
from agents.exit_status import CONFIGURATION_ERROR
from agents.link import LinkFailed
from agents.ownership import NameTaken
from agents.reloading import changes
from agents.runner import RunnerProcess, use_runner
from agents.sentences import tell
from agents.server import Server, configuration, new_event_loop
from agents.standalone import FileRefused, WorkerDied
from agents.terminal.command import TerminalCommand, in_language_of_site

logger = structlog.get_logger(__name__)


class Command(TerminalCommand):
    help = gettext_noop("Runs one agent file as a WebSocket service.")
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False
    file_is_required = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "file",
            metavar="FILE",
            nargs=None if self.file_is_required else "?",
            help=gettext("the agent file, such as my_agent.py"),
        )
        parser.add_argument("--host", default="localhost", help=gettext("address to listen on"))
        parser.add_argument(
            "--port", type=port_number, default=8080, help=gettext("0 picks a free one")
        )
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
            "--debug", action="store_true", help=gettext("log everything, with tracebacks")
        )
        parser.add_argument(
            "--reload", action="store_true", help=gettext("restart when the agent file changes")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logs.set_up("DEBUG" if options["debug"] else settings.MYAGENT_LOG_LEVEL)
        listener = listen(options["host"], options["port"])
        with contextlib.closing(listener):
            self.serve(listener, options)

    def serve(self, listener: socket.socket, options: dict[str, Any]) -> None:
        runner = self.prepare(options)
        runner.hub.lease.port = listener.getsockname()[1]
        use_runner(runner)
        self.warn_about(listener)
        url = address_of(options["host"], runner.hub.lease.port)
        greeting = gettext("{service} is ready at {url}").format(service=runner.service, url=url)

        def ready() -> None:
            # A log that takes no more is no reason not to serve.
            with contextlib.suppress(OSError):
                self.stdout.write(greeting)
                self.stdout.flush()
            self.on_ready(runner, runner.hub.lease.port)

        try:
            with in_language_of_site(), asyncio.Runner(loop_factory=new_event_loop) as loop:
                code = loop.run(self._serve(runner, listener, ready, options))
        except DatabaseFailure as error:
            raise CommandError(
                gettext("The database can't be used: {reason}").format(reason=error)
            ) from error
        except ImproperlyConfigured as error:
            raise CommandError(
                gettext("The settings are wrong: {reason}").format(reason=error)
            ) from error
        except NameTaken as error:
            raise CommandError(
                gettext(
                    "Another agent file is served as '{service}' already, {file}: choose another "
                    "name with --name."
                ).format(service=runner.service, file=error.source)
            ) from error
        except Timeout as error:
            raise CommandError(
                gettext(
                    "Another process has been preparing the database for two minutes: see to that "
                    "one first ({file})."
                ).format(file=error.lock_file)
            ) from error
        except FileRefused as error:
            raise CommandError(self._why(error), returncode=CONFIGURATION_ERROR) from error
        except WorkerDied as error:
            raise CommandError(
                gettext(
                    "The process that loads {file} ended with status {status} before it was ready."
                ).format(file=options["file"], status=error.status)
            ) from error
        if code:
            sys.exit(code)

    def prepare(self, options: dict[str, Any]) -> RunnerProcess:
        """What serves the agent file, not started yet. Raises `CommandError`."""
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
        return RunnerProcess(file, name, python=python, is_debug=options["debug"])

    async def _serve(
        self,
        runner: RunnerProcess,
        listener: socket.socket,
        ready: Callable[[], None],
        options: dict[str, Any],
    ) -> int:
        application = import_string(settings.ASGI_APPLICATION)
        server = Server(
            configuration(application, is_debug=options["debug"]),
            ready=ready,
            leave=lambda: runner.leave(
                settings.MYAGENT_SHUTDOWN_GRACE_S, stop_listening=server.stop_listening
            ),
        )
        server.hurries = not runner.is_supervised
        reloading = None
        try:
            if options["reload"]:
                folder = Path(runner.hub.source).parent
                await self._start_patiently(runner, folder)
                reloading = asyncio.create_task(self._reload(runner, folder))
            else:
                await runner.start()
            await server.serve(sockets=[listener])
        finally:
            if reloading is not None:
                reloading.cancel()
            await runner.leave(0)
        return 0 if server.started else 1

    async def _start_patiently(self, runner: RunnerProcess, folder: Path) -> None:
        """Starts as soon as the file can be loaded."""
        while True:
            try:
                await runner.start()
                return
            except FileRefused as error:
                self._complain(error)
            async for _ in changes(folder):
                break

    async def _reload(self, runner: RunnerProcess, folder: Path) -> None:
        async for _ in changes(folder):
            logger.info("agent_file_changed")
            try:
                await runner.worker.restart()
            except FileRefused as error:
                self._complain(error)
            except (WorkerDied, LinkFailed) as error:
                logger.error("worker_not_started", error=str(error))

    def _complain(self, error: FileRefused) -> None:
        self.stderr.write(self.style.ERROR(self._why(error)))

    def _why(self, error: FileRefused) -> str:
        return tell(translation.get_language() or settings.LANGUAGE_CODE, error.said)

    def on_ready(self, runner: RunnerProcess, port: int) -> None:
        """Called on the event loop once clients are served."""

    def warn_about(self, listener: socket.socket) -> None:
        address = listener.getsockname()[0]
        if not ipaddress.ip_address(address).is_loopback:
            self.stderr.write(
                self.style.WARNING(
                    gettext(
                        "WARNING: {address} can be reached from other machines, and there is no "
                        "authentication: whoever can connect can use this agent."
                    ).format(address=address)
                )
            )


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is not a port: give a number up to 65535.").format(text=text)
        )
    return int(text)


def service_name(text: str) -> str:
    if not text.isprintable() or "/" in text or not 0 < len(text) <= 100:
        raise argparse.ArgumentTypeError(
            gettext("a name has 1 to 100 printable characters and no slash.")
        )
    return text


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `CommandError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # 'localhost' may mean ::1 first; programs expect 127.0.0.1 at least.
        family, _, _, _, address = min(found, key=lambda info: info[0])
        listener = socket.create_server(address[:2], family=family, backlog=2048)
        # Accepted sockets inherit it: small frames must not wait for each other.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except socket.gaierror as error:
        raise CommandError(
            gettext("There is no address '{host}' on this machine.").format(host=host)
        ) from error
    except PermissionError as error:
        raise CommandError(
            gettext("Port {port} needs more rights; choose one above 1023.").format(port=port)
        ) from error
    except OSError as error:
        raise CommandError(
            gettext(
                "Port {port} on {host} is in use or can't be used: stop what listens there, or "
                "choose another with --port."
            ).format(port=port, host=host)
        ) from error
