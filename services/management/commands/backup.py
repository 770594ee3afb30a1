"""`manage.py backup FILE`: copies the database while the site serves."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.utils.translation import gettext, gettext_noop

from services.backups import making
from services.management.commands.services import Command as VerbCommand


class Command(VerbCommand):
    help = gettext_noop(
        "Copies the database into a new file while the site serves: all of it, as it is at one "
        "moment. `restore` makes a site of it. The secret key is not in it."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help=gettext("must not exist yet"))

    def prepare(self) -> None:
        """Nothing: the database is copied as it is, migrated or not."""

    def run(self, options: dict[str, Any]) -> None:
        size = making.make(options["file"])
        said = gettext("Backed up: {path}, {size} bytes. Keep the secret key as well, elsewhere.")
        self.screen(options).say(said.format(path=options["file"], size=size))
