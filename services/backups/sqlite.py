"""SQLite's files, copied by SQLite itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from django.utils.translation import gettext_noop

from services.backups.contents import RECORDS, Contents
from services.errors import ServiceError

ALL_BUT_OWN = "SELECT type, name FROM sqlite_master WHERE substr(name, 1, 7) <> 'sqlite_'"
MIGRATIONS = f"SELECT app, name FROM {RECORDS}"

WAIT_S = 20.0
"""Seconds for a lock; writers of the site are not waited for in WAL."""


def copy(source: Path, target: Path) -> None:
    """Everything that is committed in `source` at one moment, checked.

    Writers go on meanwhile: the copy is one read transaction. `target` is an empty file. Raises
    `ServiceError`.
    """
    try:
        with (
            closing(sqlite3.connect(f"file:{_quoted(source)}?mode=rw", WAIT_S, uri=True)) as read,
            closing(sqlite3.connect(target, WAIT_S)) as written,
        ):
            read.backup(written)
            # One file, to be carried elsewhere: without its companions WAL would be half of it.
            written.execute("PRAGMA journal_mode=DELETE")
            (verdict,) = written.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise _failed(source, str(error)) from error
    if verdict != "ok":
        raise _failed(source, verdict)


def contents(path: Path) -> Contents:
    """What a file has that nobody else uses. Raises `ServiceError`."""
    try:
        with closing(sqlite3.connect(path, WAIT_S)) as file:
            rows = file.execute(ALL_BUT_OWN).fetchall()
            tables = {name for kind, name in rows if kind == "table"}
            migrations = file.execute(MIGRATIONS).fetchall() if RECORDS in tables else []
    except sqlite3.Error as error:
        raise _failed(path, str(error)) from error
    acting = [f"{kind} {name}" for kind, name in rows if kind in ("trigger", "view")]
    return Contents(tables, migrations, acting)


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _failed(source: Path, reason: str) -> ServiceError:
    sentence = gettext_noop("SQLite can't copy {path}: {reason}.")
    return ServiceError("not_copied", sentence, path=source, reason=reason)
