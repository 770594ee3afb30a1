"""`manage.py serve`: the site and its supervisor in one process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.utils.module_loading import import_string
from django.utils.translation import gettext, gettext_noop
from rich.cells import cell_len, set_cell_size

from agents import checks
from agents.runtime import file_pages, logs, schema
from agents.runtime.addresses import address_of
from agents.runtime.background import failure_of
from agents.runtime.file_locks import explain
from agents.runtime.listening import is_loopback, listen, port_number
from agents.runtime.server import MainServer, configuration, new_event_loop
from agents.terminal.command import TerminalCommand, in_language_of_site
from services.catalogue import agent_files, registry
from services.first_admin import ensure_admin
from services.models import Service
from services.routing.own_ports import OwnPorts
from services.routing.serving import own_ports, site_server
from services.supervision.supervisor_process import SupervisorProcess

logger = structlog.get_logger(__name__)


class Command(TerminalCommand):
    help = gettext_noop(
        "Serves the site and supervises its services; Ctrl-C stops both. With "
        "MYAGENT_SUPERVISOR=external it leaves the services to `supervise`."
    )
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="localhost", help=gettext("address to listen on (%(default)s)")
        )
        parser.add_argument(
            "--port",
            type=port_number,
            default=8000,
            help=gettext("port to listen on (%(default)s; 0 picks a free one)"),
        )
        parser.add_argument(
            "--debug",
            action="store_true",
            help=gettext("log everything that happens, in the services' logs too"),
        )
        parser.add_argument(
            "--agent-dir",
            action="append",
            default=[],
            metavar="DIR",
            help=gettext(
                "on loopback, where MYAGENT_AGENT_DIRS names none: a folder below which REST and "
                "the admin may register agent files. Repeatable"
            ),
        )
        parser.add_argument(
            "--with-example",
            action="store_true",
            help=gettext("on a new site, register the example weather agent"),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logs.set_up("DEBUG" if options["debug"] else settings.MYAGENT_LOG_LEVEL)
        listener = listen(options["host"], options["port"])
        with contextlib.closing(listener):
            if is_loopback(listener) and not settings.MYAGENT_AGENT_DIRS:
                # The setting has not been read yet.
                settings.MYAGENT_AGENT_DIRS = agent_files.trusted(options["agent_dir"])
            self._warn_about(listener)
            schema.apply_pending(settings.VAR_DIR)
            password = ensure_admin()
            if password is not None and options["with_example"]:
                self._register_example()
            self._server, self._directory = site_server()
            lease = self._server.conversations.lease
            lease.port = listener.getsockname()[1]
            lease.address = address_of(options["host"], lease.port)
            url = lease.address.replace("ws://", "http://", 1)
            self._greeting = greeting(
                url, password, file_pages.said_at_start(listener.getsockname()[0])
            )
            self._farewell = gettext("Stopping the services; interrupt again to stop them at once.")
            with in_language_of_site(), asyncio.Runner(loop_factory=new_event_loop) as loop:
                loop.run(self._serve(listener, is_debug=options["debug"]))
        if settings.MYAGENT_SUPERVISOR != "external":
            self._say_what_comes_back()

    def _warn_about(self, listener: socket.socket) -> None:
        if settings.MYAGENT_AUTH != "open" or is_loopback(listener):
            return
        sentence = gettext(
            "WARNING: {address} can be reached from other machines, and MYAGENT_AUTH is open: "
            "whoever can connect can use the agents."
        )
        line = sentence.format(address=listener.getsockname()[0])
        self.stderr.write(self.style.WARNING(line))

    async def _serve(self, listener: socket.socket, *, is_debug: bool) -> None:
        supervisor = SupervisorProcess(takes_instances_along=True)
        if settings.MYAGENT_SUPERVISOR == "external":
            supervisor.leave()
        supervision = asyncio.create_task(supervisor.run())
        application = import_string(settings.MYAGENT_APPLICATION)(self._server)
        ports = own_ports(self._server, self._directory, application)
        server = MainServer(
            configuration(
                application, is_debug=is_debug, admission=self._server.connections.admission
            ),
            prepare=self._server.prepare,
            ready=lambda: self._say(self._greeting),
            leave=lambda: self._leave(supervisor, supervision, ports, server.stop_listening),
        )

        def follow(ended: asyncio.Task[None]) -> None:
            # The site is of no use without the supervisor with which it started.
            if not server.is_leaving and failure_of(ended) is not None:
                server.begin_to_leave()

        supervision.add_done_callback(follow)
        try:
            await server.serve(sockets=[listener])
        finally:
            supervisor.leave()
            await asyncio.wait([supervision])
            await ports.close()
            await self._server.leave(0)
        if (error := failure_of(supervision)) is not None:
            raise error

    async def _leave(
        self,
        supervisor: SupervisorProcess,
        supervision: asyncio.Task[None],
        ports: OwnPorts,
        stop_listening: Callable[[], None],
    ) -> None:
        """Ends the services first, while the site still shows the progress.

        When cancelled it ends the services at once; cancelled again, it leaves the services as they
        are. Runs that are not finished by then can be continued from the log.
        """
        if not supervision.done():
            self._say(self._farewell)
        # Before the services end: from now on clients are told about the shutdown.
        self._server.announce()
        try:
            await self._end_services(supervisor, supervision)
        finally:
            await ports.close()
            await self._server.leave(0, stop_listening=stop_listening)

    async def _end_services(
        self, supervisor: SupervisorProcess, supervision: asyncio.Task[None]
    ) -> None:
        supervisor.leave()
        try:
            await asyncio.shield(supervision)
        except asyncio.CancelledError:
            supervisor.hurry()
            try:
                await asyncio.shield(supervision)
            except asyncio.CancelledError:
                supervision.cancel()

    def _register_example(self) -> None:
        file = settings.BASE_DIR / "examples" / "ws_weather_agent.py"
        if file.is_file() and not Service.objects.exists():
            registry.register(
                name="weather",
                description="Tells the weather, and about cities.",
                agent_factory_path=str(file),
                tags=["example"],
                auto_start=True,
            )

    def _say_what_comes_back(self) -> None:
        """Says that services will start again, if there are any."""
        waiting = {"status": Service.Status.STOPPED, "desired": Service.Desired.RUNNING}
        try:
            is_any = Service.objects.filter(**waiting, url="").exists()
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            return
        if is_any:
            self._say(gettext("The services that were running start again with the next serve."))

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def greeting(url: str, password: str | None, besides: str | None = None) -> str:
    """Where the site's pages are, in lines."""
    lines = [gettext("The site is ready at {url}").format(url=url)]
    pages = {
        gettext("services"): "services/NAME/",
        gettext("console"): "console",
        gettext("admin"): "admin/",
        gettext("REST API"): "docs",
    }
    widest = max(map(cell_len, pages))
    for name, path in pages.items():
        lines.append(f"  {set_cell_size(name, widest)}  {url}{path}")
    if password is not None:
        sentence = gettext("Log in as 'admin' with the password {password} (shown only this once)")
        lines.append(f"  {sentence.format(password=password)}")
    if besides is not None:
        lines.append(f"  {besides}")
    return "\n".join(lines)
