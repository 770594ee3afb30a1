"""`manage.py supervise`: keeps the services in their desired state."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure
from django.utils.translation import gettext, gettext_noop

from agents import checks
from agents.runtime import schema, systemd
from agents.runtime.garbage import collect_as_usual
from agents.terminal.command import TerminalCommand, in_language_of_site, set_up_logs
from agents.terminal.inert import readable
from services.cli.parsing import interval
from services.errors import ServiceError
from services.nodes import this_node
from services.supervision import supervisor_start
from services.supervision.supervisor_process import SupervisorProcess

logger = structlog.get_logger(__name__)

AUTOMATIC = (
    "Supervising the services of {node} (started by a command; it leaves when nothing is to run)"
)
"""A log line, in English like all others."""


class Command(TerminalCommand):
    help = gettext_noop("Starts, stops and checks the services on the list. They outlive it.")
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--interval",
            "--health-interval",
            type=interval,
            metavar="S",
            help=gettext("seconds between health checks (MYAGENT_HEALTH_INTERVAL_S)"),
        )
        parser.add_argument("--automatic", action="store_true", help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        set_up_logs()
        schema.apply_pending(settings.VAR_DIR)
        process = SupervisorProcess(
            is_automatic=options["automatic"], health_interval_s=options["interval"]
        )
        announcement = gettext("Supervising the services of {node}").format(node=this_node())
        with in_language_of_site():
            if options["automatic"]:
                announcement = AUTOMATIC.format(node=this_node())
            collect_as_usual()
            asyncio.run(self._run(process, announcement))
        if process.has_replaced_automatic and supervisor_start.is_needed():
            self._hand_over()

    def _hand_over(self) -> None:
        """Restores a background supervisor if it replaced one."""
        try:
            if supervisor_start.ensure_supervisor():
                self.stdout.write(gettext("The services are supervised in the background again."))
        except (ServiceError, DatabaseFailure) as error:
            raise CommandError(readable(error)) from error

    async def _run(self, process: SupervisorProcess, sentence: str) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, process.leave)
        announcement = loop.create_task(self._announce(process, sentence))
        try:
            await process.run()
        finally:
            announcement.cancel()
            await asyncio.gather(announcement, return_exceptions=True)

    async def _announce(self, process: SupervisorProcess, sentence: str) -> None:
        await process.is_settled.wait()
        systemd.tell_ready()
        await process.is_in_charge.wait()
        self.stdout.write(sentence)
        self.stdout.flush()
