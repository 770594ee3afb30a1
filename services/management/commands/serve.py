"""`manage.py serve`: the site and its supervisor, in one process or several."""

from __future__ import annotations

import argparse
import asyncio
import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Coroutine
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure
from django.utils.translation import gettext, gettext_noop

from agents import checks
from agents.runtime import bell, file_pages, schema, systemd
from agents.runtime.addresses import address_of
from agents.runtime.background import end
from agents.runtime.explaining import explain
from agents.runtime.listening import add_address, listen
from agents.runtime.program import command_line
from agents.runtime.server import new_event_loop
from agents.terminal.command import TerminalCommand, in_language_of_site, set_up_logs
from services.catalogue import registry
from services.first_admin import ensure_admin
from services.models import Service
from services.serving import opening, part
from services.serving.greeting import greeting
from services.serving.processes import NoneStarted, ServerProcesses
from services.serving.site import SiteServer
from services.serving.supervision import Supervision

logger = structlog.get_logger(__name__)

MOST_PROCESSES = 64


class Command(TerminalCommand):
    help = gettext_noop(
        "Serves the site and supervises its services; Ctrl-C stops both. With "
        "MYAGENT_SUPERVISOR=external it leaves the services to `supervise`."
    )
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False

    _stops_services = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_address(parser, 8000)
        parser.add_argument(
            "--processes",
            type=process_count,
            default=1,
            metavar="N",
            help=gettext("server processes at the port (1); several need MySQL or MariaDB"),
        )
        parser.add_argument(
            "--debug",
            action="store_true",
            help=gettext("log everything that happens, in the services' logs too"),
        )
        opening.add_agent_dir(parser)
        parser.add_argument(
            "--with-example",
            action="store_true",
            help=gettext("on a new site, register the example weather agent"),
        )
        for name in ("--listener-fd", "--parent-fd"):
            parser.add_argument(name, type=int, help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        set_up_logs(is_debug=options["debug"])
        if options["parent_fd"] is not None:
            self._serve_as_part(options)
            return
        if options["processes"] > 1:
            self._check_several()
        with contextlib.closing(listen(options["host"], options["port"])) as listener:
            opening.trust_folders(listener, options["agent_dir"])
            opening.warn_if_open(self, listener)
            schema.apply_pending(settings.VAR_DIR)
            password = ensure_admin()
            if password is not None and options["with_example"]:
                self._register_example()
            host, port = listener.getsockname()[:2]
            address = address_of(options["host"], port)
            self._greeting = greeting(
                address.replace("ws://", "http://", 1), password, file_pages.said_at_start(host)
            )
            self._farewell = gettext("Stopping the services; interrupt again to stop them at once.")
            self._only_leaves = gettext("Leaving; the services go on: another supervisor has them.")
            servers: SiteServer | ServerProcesses
            if options["processes"] > 1:
                command = _part_of(port, options)
                servers = ServerProcesses(
                    options["processes"], command, listener, metrics_dir=_new_metrics_dir()
                )
            else:
                servers = SiteServer(listener, address, is_debug=options["debug"])
                servers.open_own_ports()
            self._run(self._serve(servers))
        if self._stops_services:
            self._say_what_comes_back()

    def _run(self, serving: Coroutine[Any, Any, None]) -> None:
        try:
            with in_language_of_site(), asyncio.Runner(loop_factory=new_event_loop) as loop:
                loop.run(serving)
        except NoneStarted as error:
            raise CommandError(
                gettext("No server process could start; what it wrote above says why.")
            ) from error

    def _serve_as_part(self, options: dict[str, Any]) -> None:
        """What each of several processes does. Its parent has prepared everything."""
        listener, parent = map(part.inherited, (options["listener_fd"], options["parent_fd"]))
        with contextlib.closing(listener):
            opening.trust_folders(listener, options["agent_dir"])
            address = address_of(options["host"], listener.getsockname()[1])
            site = SiteServer(listener, address, is_debug=options["debug"])
            self._run(part.serve(site, parent))

    def _check_several(self) -> None:
        """Raises `CommandError`."""
        if settings.IS_EMBEDDED:
            raise CommandError(
                gettext(
                    "Several processes need MySQL or MariaDB: on SQLite they would only wait for "
                    "each other. Set DATABASE_URL, or leave out --processes."
                )
            )
        if not bell.is_shared():
            self.stderr.write(
                self.style.WARNING(
                    gettext(
                        "WARNING: without REDIS_URL the processes hear of each other's news late, "
                        "and text does not grow for clients at another process than its agent's."
                    )
                )
            )

    async def _serve(self, servers: SiteServer | ServerProcesses) -> None:
        supervision = Supervision()

        def give_up() -> None:
            # The site is of no use without the supervisor with which it started.
            if not servers.is_leaving:
                servers.begin_to_leave()

        serves = asyncio.Event()

        def ready() -> None:
            opening.say(self, self._greeting)
            serves.set()

        supervision.start(give_up)
        telling = asyncio.create_task(_tell_systemd(serves, supervision.is_settled))
        try:
            await servers.serve(ready=ready, leave=lambda: self._leave(servers, supervision))
        finally:
            await end([telling])
            await supervision.stop()

    async def _leave(self, servers: SiteServer | ServerProcesses, supervision: Supervision) -> None:
        """Ends the services first, while the site still shows the progress."""
        self._stops_services = supervision.is_in_charge
        if not supervision.is_over:
            opening.say(self, self._farewell if self._stops_services else self._only_leaves)
        # Before the services end: from now on clients are told about the shutdown.
        servers.announce()
        try:
            await supervision.end_services()
        finally:
            await servers.leave(0)

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
            opening.say(
                self, gettext("The services that were running start again with the next serve.")
            )


async def _tell_systemd(*all_of: asyncio.Event) -> None:
    """Tells it that the site is ready once all of these have happened."""
    for each in all_of:
        await each.wait()
    systemd.tell_ready()


def _new_metrics_dir() -> str:
    """A folder in which the processes of this command count together; they inherit its name."""
    folder = tempfile.mkdtemp(prefix="myagent-metrics-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    return folder


def _part_of(port: int, options: dict[str, Any]) -> list[str]:
    """The command line of one of several processes."""
    command = [*command_line("serve"), f"--host={options['host']}", f"--port={port}"]
    command += [f"--agent-dir={folder}" for folder in options["agent_dir"]]
    return [*command, *(["--debug"] if options["debug"] else [])]


def process_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PROCESSES:
        raise argparse.ArgumentTypeError(
            gettext("give a number of processes from 1 to {most}.").format(most=MOST_PROCESSES)
        )
    return int(text)
