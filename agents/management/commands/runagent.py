"""`manage.py runagent FILE`: one agent file as a WebSocket service."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure
from django.utils.module_loading import import_string
from django.utils.translation import gettext, gettext_noop
from filelock import Timeout

from agents import checks, logs
from agents.addresses import address_of
from agents.exit_status import CONFIGURATION_ERROR
from agents.ownership import NameTaken
from agents.reloading import run_with_reload
from agents.runner import RunnerProcess, open_runner, use_runner
from agents.server import Server, configuration, new_event_loop
from agents.terminal.command import TerminalCommand, in_language_of_site, told
from myagent.loading import AgentFileError

LEAVE_GRACE_S = 10.0


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
            "--debug", action="store_true", help=gettext("log everything, with tracebacks")
        )
        parser.add_argument(
            "--reload", action="store_true", help=gettext("restart when the agent file changes")
        )
        parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        logs.set_up("DEBUG" if options["debug"] else settings.MYAGENT_LOG_LEVEL)
        listener = listen(options["host"], options["port"], options["fd"])
        with contextlib.closing(listener):
            if options["reload"]:
                sys.exit(run_with_reload(options, listener))
            self.serve(listener, options)

    def serve(self, listener: socket.socket, options: dict[str, Any]) -> None:
        runner = self.load(options)
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
                code = loop.run(_serve(runner, listener, ready, is_debug=options["debug"]))
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
        # A thread that an agent left behind must not keep the process.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)

    def load(self, options: dict[str, Any]) -> RunnerProcess:
        try:
            service_name(options["name"] or Path(options["file"]).stem or "agent")
            return open_runner(options["file"], name=options["name"])
        except argparse.ArgumentTypeError as error:
            raise CommandError(
                gettext(
                    "The file's name is no name for a service: {reason} Choose one with --name."
                ).format(reason=error),
                returncode=CONFIGURATION_ERROR,
            ) from error
        except AgentFileError as error:
            if options["debug"] and error.__cause__ is not None:
                raise
            raise CommandError(told(error), returncode=CONFIGURATION_ERROR) from error

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


def listen(host: str, port: int, fd: int | None) -> socket.socket:
    """A listening socket. Raises `CommandError`."""
    if fd is not None:
        return socket.socket(fileno=fd)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # 'localhost' may mean ::1 first; programs expect 127.0.0.1 at least.
        family, _, _, _, address = min(found, key=lambda info: info[0])
        listener = socket.create_server(address[:2], family=family, backlog=2048)
        # Accepted sockets inherit it: small frames must not wait for each other.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        os.register_at_fork(after_in_child=partial(let_go, listener))
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


def let_go(listener: socket.socket) -> None:
    """In a child that agent code forks: it must not hold the port after this process."""
    # Not `close`: it does nothing while an event loop has the socket in use.
    if listener.fileno() != -1:
        os.close(listener.detach())


async def _serve(
    runner: RunnerProcess, listener: socket.socket, ready: Any, *, is_debug: bool
) -> int:
    await runner.start()

    async def leave() -> None:
        await runner.leave(settings.MYAGENT_SHUTDOWN_GRACE_S, stop_listening=server.stop_listening)

    application = import_string(settings.ASGI_APPLICATION)
    server = Server(configuration(application, is_debug=is_debug), ready=ready, leave=leave)
    server.hurries = not runner.is_supervised
    try:
        await server.serve(sockets=[listener])
    finally:
        await runner.leave(0)
    return 0 if server.started else 1
