"""The commands of servers with one side, `proxy` and `api`. Neither supervises."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from contextlib import ExitStack, closing
from typing import Any

from django.conf import settings
from django.utils.translation import gettext, gettext_noop

from agents import checks
from agents.runtime import schema, systemd
from agents.runtime.addresses import address_of
from agents.runtime.listening import add_address, listen, port_number
from agents.runtime.server import new_event_loop
from agents.terminal.command import TerminalCommand, in_language_of_site, set_up_logs
from agents.terminal.inert import readable
from services.cli.parsing import interval
from services.errors import ServiceError
from services.first_admin import ensure_admin
from services.routing.sides import Side
from services.serving import opening
from services.serving.greeting import greeting, proxy_greeting
from services.serving.site import SiteServer
from services.supervision import supervisor_start

HEALTH_INTERVAL = "MYAGENT_HEALTH_INTERVAL_S"


class _SideCommand(TerminalCommand):
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False
    port: int
    """The default."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_address(parser, self.port)
        # Taken from the command line before the settings are read.
        parser.add_argument(
            "--db-path", metavar="FILE", help=gettext("an SQLite file, not the site's database")
        )
        parser.add_argument(
            "--health-interval",
            type=interval,
            metavar="S",
            help=gettext("seconds between health checks of a supervisor that is started from here"),
        )
        parser.add_argument(
            "--debug", action="store_true", help=gettext("log everything that happens")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        set_up_logs(is_debug=options["debug"])
        if options["health_interval"] is not None:
            # Also for processes that are started from here.
            setattr(settings, HEALTH_INTERVAL, options["health_interval"])
            os.environ[HEALTH_INTERVAL] = f"{options['health_interval']:g}"
        with ExitStack() as listeners:
            self.serve(listeners, options)

    def listen(self, listeners: ExitStack, host: str, port: int) -> socket.socket:
        listener = listeners.enter_context(closing(listen(host, port)))
        opening.warn_if_open(self, listener)
        return listener

    def serve(self, listeners: ExitStack, options: dict[str, Any]) -> None:
        """Listens, prepares, and runs until a signal comes."""
        raise NotImplementedError

    def run_site(self, site: SiteServer, said: str) -> None:
        self._see_to_services()

        def ready() -> None:
            opening.say(self, said)
            systemd.tell_ready()

        async def serve() -> None:
            await site.serve(
                ready=ready,
                leave=lambda: site.leave(settings.MYAGENT_SHUTDOWN_GRACE_S),
            )

        with in_language_of_site(), asyncio.Runner(loop_factory=new_event_loop) as loop:
            loop.run(serve())

    def _see_to_services(self) -> None:
        """Services that are to run need a supervisor, as after the start of the machine."""
        try:
            if supervisor_start.is_needed():
                supervisor_start.ensure_supervisor()
        except ServiceError as error:
            self.stderr.write(self.style.WARNING(readable(error)))


class ProxyCommand(_SideCommand):
    help = gettext_noop("Serves the WebSockets of all services, and nothing else.")
    port = 9090

    def serve(self, listeners: ExitStack, options: dict[str, Any]) -> None:
        listener = self.listen(listeners, options["host"], options["port"])
        schema.apply_pending(settings.VAR_DIR)
        address = address_of(options["host"], listener.getsockname()[1])
        site = SiteServer(listener, address, is_debug=options["debug"], side=Side.SOCKETS)
        site.open_own_ports()
        self.run_site(site, proxy_greeting(address))


class ApiCommand(_SideCommand):
    help = gettext_noop("Serves the REST API and the pages, and with --proxy-port a proxy too.")
    port = 8080

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--proxy-port",
            type=port_number,
            metavar="PORT",
            help=gettext("serve the WebSockets of all services at this port, and chats in pages"),
        )
        opening.add_agent_dir(parser)

    def serve(self, listeners: ExitStack, options: dict[str, Any]) -> None:
        host, proxy_port = options["host"], options["proxy_port"]
        listener = self.listen(listeners, host, options["port"])
        proxy = None if proxy_port is None else self.listen(listeners, host, proxy_port)
        opening.trust_folders(listener, options["agent_dir"])
        schema.apply_pending(settings.VAR_DIR)
        url = address_of(host, listener.getsockname()[1]).replace("ws://", "http://", 1)
        said = greeting(url, ensure_admin(), has_chat=proxy is not None)
        if proxy is None:
            site = SiteServer(listener, "", is_debug=options["debug"], side=Side.PAGES)
        else:
            # A chat page connects to the server that it came from: this one has both sides.
            address = address_of(host, proxy.getsockname()[1])
            site = SiteServer(listener, address, is_debug=options["debug"])
            site.open_own_ports()
            site.listens_besides(proxy, Side.SOCKETS)
            said = f"{said}\n{proxy_greeting(address)}"
        self.run_site(site, said)
