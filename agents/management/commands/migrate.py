"""Django's `migrate`, resumable: it can be killed at any point and started again."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from agents.runtime.migrating import Progress, resumable
from agents.runtime.migration_lock import only_one

CHANGE_NOTHING = ("plan", "check_unapplied", "prune")


class Command(migrate.Command):
    _progress: Progress | None = None

    def handle(self, *args: Any, **options: Any) -> None:
        if any(options[name] for name in CHANGE_NOTHING):
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with only_one(connection), resumable(connection) as self._progress:
            super().handle(*args, **options)
            self._progress.finish()

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        super().migration_progress_callback(action, migration, fake)
        if self._progress is not None:
            self._progress.on_progress(action, migration, is_faked=fake)
