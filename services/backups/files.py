"""The files that backups are: complete under their name, or not there; for their owner alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.utils.translation import gettext_noop

from services.errors import ServiceError

HEAD_OF_SQLITE = b"SQLite format 3\0"

HEAD_OF_SQL = b"-- MyAgent Site: backup of a MySQL or MariaDB database\n"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A draft that gets the name `path` once it is complete and on disk. Raises `ServiceError`."""
    if path.exists():
        raise ServiceError(
            "file_exists",
            gettext_noop("{path} exists: a backup never replaces a file."),
            path=path,
        )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600, exist_ok=False)
        try:
            yield draft
            _sync(draft)
            draft.rename(path)
            _sync(path.parent)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ServiceError(
            "not_written",
            gettext_noop("{path} can't be written: {reason}."),
            path=path,
            reason=error.strerror or error,
        ) from error


def is_of_sqlite(path: Path) -> bool:
    """Which kind of database a backup is of. Raises `ServiceError` if it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(len(HEAD_OF_SQL))
    except OSError as error:
        raise ServiceError(
            "not_read",
            gettext_noop("{path} can't be read: {reason}."),
            path=path,
            reason=error.strerror or error,
        ) from error
    if head.startswith(HEAD_OF_SQLITE):
        return True
    if head == HEAD_OF_SQL:
        return False
    raise ServiceError(
        "no_backup", gettext_noop("{path} is no backup that this command made."), path=path
    )


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
