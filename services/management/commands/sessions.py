"""`manage.py sessions …`: looks at stored conversations, and removes old ones."""

from __future__ import annotations

import argparse
from typing import Any

from django.utils.translation import gettext_noop

from services.cli import sessions
from services.management.commands.services import Command as VerbCommand


class Command(VerbCommand):
    help = gettext_noop("Shows stored conversations, and removes old ones.")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        sessions.add_verbs(parser)

    def run(self, options: dict[str, Any]) -> None:
        sessions.VERBS[options["verb"]](self.screen(options), options)
