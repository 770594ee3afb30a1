"""Brings the database up to date before a process serves."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext
from filelock import FileLock, Timeout

from agents.runtime.migration_journal import MigrationJournal
from agents.runtime.migration_lock import WAIT_S
from agents.runtime.process import pid_of
from agents.runtime.var_folder import unusable


class OldProcess(CommandError):
    """A process with older code still runs: the tables that it uses can't be changed."""

    def __init__(self, service: str, host: str, process: str) -> None:
        super().__init__(
            gettext(
                "An older version still serves '{service}' on {host} (process {pid}): stop it "
                "first, then start this one again."
            ).format(service=service, host=host, pid=pid_of(process))
        )


def apply_pending(var_dir: Path) -> None:
    """Applies what is missing, one process at a time.

    Raises `OldProcess`, `filelock.Timeout`, and `ImproperlyConfigured` if the folder for the lock
    can't be used.
    """
    if not _is_pending():
        return
    with _lock(var_dir):
        if _is_pending():
            call_command("migrate", interactive=False, verbosity=0)


def unknown_migrations(database: BaseDatabaseWrapper) -> list[str]:
    """Applied migrations that this version does not have: a newer one was here."""
    loader = MigrationLoader(database)
    # Of a squashed one the parts may be recorded as well.
    known = loader.graph.nodes.keys() | (loader.disk_migrations or {}).keys()
    apps = {app for app, _ in known}
    applied = MigrationRecorder(database).applied_migrations()
    return [f"{app}.{name}" for app, name in applied if app in apps and (app, name) not in known]


def _lock(var_dir: Path) -> AbstractContextManager[object]:
    try:
        var_dir.mkdir(parents=True, exist_ok=True)
        return FileLock(var_dir / "migrate.lock").acquire(timeout=WAIT_S)
    except Timeout:
        raise  # This is an OSError as well, but the folder is not the problem.
    except OSError as error:
        raise unusable(var_dir, error) from error


def _is_pending() -> bool:
    if MigrationJournal(connection).exists():
        return True
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
