"""`manage.py restore FILE`: makes the site's database of a backup."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.utils.translation import gettext, gettext_noop

from services.backups import restoring
from services.management.commands.services import Command as VerbCommand


class Command(VerbCommand):
    help = gettext_noop(
        "Fills the site's database, which must be empty, with what `backup` has copied, and brings "
        "it up to date."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help=gettext("made by `backup`"))

    def prepare(self) -> None:
        """Nothing: the database must be empty."""

    def run(self, options: dict[str, Any]) -> None:
        restoring.restore(options["file"])
        said = gettext(
            "Restored. With the SECRET_KEY of the site that was backed up, start it: "
            "conversations go on where they were."
        )
        self.screen(options).say(said)
