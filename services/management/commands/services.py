"""`manage.py services …`: register, run and watch services."""

from __future__ import annotations

import argparse
import os
import sys
from typing import IO, Any, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.utils.translation import gettext, gettext_noop
from filelock import Timeout
from rich.console import Console

from agents import checks
from agents.runtime import schema
from agents.terminal.command import TerminalCommand
from agents.terminal.inert import readable
from services.cli import acting, arguments, logs, looking, routes
from services.cli.screen import PlainScreen, RichScreen, Screen
from services.errors import ServiceError

VERBS = {
    "register": acting.register,
    "start": acting.start,
    "stop": acting.stop,
    "restart": acting.restart,
    "unregister": acting.unregister,
    "list": looking.show_list,
    "status": looking.show_status,
    "stats": looking.show_stats,
    "logs": logs.show_logs,
    "health": looking.show_health,
    "reencrypt": acting.reencrypt,
    "routes": routes.carry_out,
}


class Command(TerminalCommand):
    help = gettext_noop("Registers services, starts and stops them, and shows how they are.")
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        arguments.add_verbs(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.ending = ""
        try:
            self.prepare()
            self.run(options)
        except CommandError as error:
            raise CommandError(readable(error), returncode=error.returncode) from error
        except ServiceError as error:
            raise CommandError(readable(error)) from error
        except ImproperlyConfigured as error:
            raise CommandError(
                gettext("The settings are wrong: {reason}").format(reason=readable(error))
            ) from error
        except Timeout as error:
            raise CommandError(
                gettext(
                    "Another process has been preparing the database for two minutes: see to that "
                    "one first ({file})."
                ).format(file=error.lock_file)
            ) from error
        except BrokenPipeError:
            # The reader has closed the pipe; Python must not complain at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def prepare(self) -> None:
        """What is done before the command itself."""
        schema.apply_pending(settings.VAR_DIR)

    def run(self, options: dict[str, Any]) -> None:
        VERBS[options["verb"]](self.screen(options), options)

    def screen(self, options: dict[str, Any]) -> Screen:
        # Neither adds text of its own.
        output = cast("IO[str]", self.stdout)
        console = Console(file=output, highlight=False, no_color=options["no_color"] or None)
        return RichScreen(console) if console.is_terminal else PlainScreen(output)
