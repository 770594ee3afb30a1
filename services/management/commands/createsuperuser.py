"""Django's `createsuperuser`, which makes the first account of a new site as well."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser

from services.management.commands.services import Command as VerbCommand


class Command(createsuperuser.Command, VerbCommand):
    requires_migrations_checks = False

    def add_arguments(self, parser: Any) -> None:
        createsuperuser.Command.add_arguments(self, parser)

    def handle(self, *args: Any, **options: Any) -> None:
        VerbCommand.handle(self, *args, **options)

    def run(self, options: dict[str, Any]) -> None:
        self.stdout.ending = "\n"
        createsuperuser.Command.handle(self, **options)
