"""`manage.py doctor`: examines the site, and says what is wrong and what to do about it."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext, gettext_noop

from services.cli import doctor
from services.doctor.examination import examine
from services.doctor.finding import Level
from services.management.commands.services import Command as VerbCommand


class Command(VerbCommand):
    help = gettext_noop(
        "Examines the site and says what is wrong and what to do. It changes nothing; its exit "
        "status is 0 if there is no problem."
    )
    # They are among what is examined.
    requires_system_checks = ()  # type: ignore[assignment]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help=gettext("for programs"))

    def prepare(self) -> None:
        """Nothing: migrations that are missing are found, and not applied."""

    def run(self, options: dict[str, Any]) -> None:
        findings = list(examine())
        screen = self.screen(options)
        (doctor.show_json if options["json"] else doctor.show)(screen, findings)
        if problems := doctor.count(findings, Level.PROBLEM):
            raise CommandError(gettext("Problems: {count}.").format(count=problems))
