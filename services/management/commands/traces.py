"""`manage.py traces …`: shows what happened inside runs, and removes old traces."""

from __future__ import annotations

import argparse
from typing import Any

from django.utils.translation import gettext_noop

from services.cli import traces
from services.management.commands.services import Command as VerbCommand


class Command(VerbCommand):
    help = gettext_noop("Shows what happened inside runs, and removes old traces.")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        traces.add_verbs(parser)

    def run(self, options: dict[str, Any]) -> None:
        traces.VERBS[options["verb"]](self.screen(options), options)
