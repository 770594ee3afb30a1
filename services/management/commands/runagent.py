"""`manage.py runagent`: with `--service NAME`, what the supervisor runs; else as ever."""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure
from django.utils import translation
from django.utils.translation import gettext, gettext_noop

from agents import logs
from agents.management.commands import runagent
from agents.runner import RunnerProcess
from services import registry, rotation
from services.errors import ServiceError
from services.hosting import GivenUp, Place

logger = structlog.get_logger(__name__)

LOOK_S = 5.0
RETRY_S = 1.0


class Command(runagent.Command):
    help = gettext_noop("Runs one agent file, or a service on the list, as a WebSocket service.")
    file_is_required = False

    _place: Place | None = None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--service", metavar="NAME", help=gettext("a service on the list"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["service"] is not None:
            options = self._options_of(options)
        elif options["file"] is None:
            raise CommandError(
                gettext("Name an agent file, or a service with --service."), returncode=2
            )
        try:
            super().handle(*args, **options)
        except CommandError as error:
            if self._place is not None:
                self._place.note_failure(str(error), error.returncode)
            raise

    def _options_of(self, options: dict[str, Any]) -> dict[str, Any]:
        """What the service's row says, in place of the command line."""
        logs.set_up("DEBUG" if options["debug"] else settings.MYAGENT_LOG_LEVEL)
        try:
            self._place = Place.claim()
        except GivenUp:
            logger.info("given_up")
            raise SystemExit(0) from None
        if self._place is not None:
            # Nobody sits there: what it says is kept, or goes to its log.
            translation.activate(settings.LANGUAGE_CODE)
        try:
            service = self._place.instance.service if self._place else None
            service = service or registry.find(options["service"])
        except ServiceError as error:
            raise CommandError(str(error)) from error
        port = service.port or 0 if self._place is None else self._place.instance.port
        return options | {
            "file": service.agent_factory_path,
            "name": service.name,
            "host": service.host,
            "port": port,
        }

    def prepare(self, options: dict[str, Any]) -> RunnerProcess:
        runner = super().prepare(options)
        runner.is_supervised = self._place is not None
        return runner

    def on_ready(self, runner: RunnerProcess, port: int) -> None:
        if (place := self._place) is None:
            return
        runner.hub.background.start(_note_ready(runner, place, port))
        runner.hub.background.repeat(
            rotation.LOOK_S, lambda: rotation.keep_bounded(runner.hub.database, place.log)
        )
        runner.hub.background.repeat(LOOK_S, lambda: _leave_if_given_up(runner, place))


async def _note_ready(runner: RunnerProcess, place: Place, port: int) -> None:
    while True:
        try:
            await runner.hub.database.run(place.note_ready, port)
            return
        except DatabaseFailure as error:
            logger.warning("storage_away", error=str(error))
            await asyncio.sleep(RETRY_S)


async def _leave_if_given_up(runner: RunnerProcess, place: Place) -> None:
    """One that was thought dead, on a machine that was cut off, must not serve beside its heir."""
    if await runner.hub.database.run(place.is_given_up):
        logger.warning("given_up")
        signal.raise_signal(signal.SIGTERM)
