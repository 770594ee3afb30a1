"""Brings the database up to date before a process serves."""

from __future__ import annotations

from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from filelock import FileLock

WAIT_S = 120


def apply_pending(var_dir: Path) -> None:
    """Applies what is missing, one process at a time. Raises `filelock.Timeout`."""
    if not _is_pending():
        return
    var_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(var_dir / "migrate.lock", timeout=WAIT_S):
        if _is_pending():
            call_command("migrate", interactive=False, verbosity=0)


def _is_pending() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
