"""`manage.py supervise`: keeps what is desired running, and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from agents import checks, logs, schema
from services.supervisor_lease import this_node
from services.supervisor_process import SupervisorProcess

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Starts, stops and checks the services on the list. They outlive it."
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--interval",
            type=_seconds,
            metavar="S",
            help="seconds between health checks (MYAGENT_HEALTH_INTERVAL_S)",
        )
        parser.add_argument("--automatic", action="store_true", help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        logs.set_up(settings.MYAGENT_LOG_LEVEL)
        schema.apply_pending(settings.VAR_DIR)
        process = SupervisorProcess(
            is_automatic=options["automatic"], health_interval_s=options["interval"]
        )
        asyncio.run(self._run(process, is_automatic=options["automatic"]))

    async def _run(self, process: SupervisorProcess, *, is_automatic: bool) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, process.leave)
        announcement = loop.create_task(self._announce(process, is_automatic=is_automatic))
        try:
            await process.run()
        finally:
            announcement.cancel()
            await asyncio.gather(announcement, return_exceptions=True)

    async def _announce(self, process: SupervisorProcess, *, is_automatic: bool) -> None:
        await process.is_in_charge.wait()
        suffix = " (started by a command; it leaves when nothing is to run)" if is_automatic else ""
        self.stdout.write(f"Supervising the services of {this_node()}{suffix}")
        self.stdout.flush()


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.05 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds above 0.")
    return seconds
