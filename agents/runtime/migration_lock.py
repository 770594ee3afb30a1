"""Ensures that only one `migrate` runs at a time, on any number of machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext

WAIT_S = 120

_ASK_S = 5
"""Seconds; less than the connection's read timeout."""

_NAME = "CONCAT('migrate.', SHA1(DATABASE()))"


@contextmanager
def only_one(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Holds the database's own lock, which ends with the connection. Raises `CommandError`.

    SQLite needs none besides its file lock: each migration is one transaction.
    """
    if connection.vendor != "mysql":
        yield
        return
    if not any(_ask(connection, f"GET_LOCK({_NAME}, {_ASK_S})") for _ in range(WAIT_S // _ASK_S)):
        raise CommandError(
            gettext(
                "Another process has been changing the database's tables for {seconds} s."
            ).format(seconds=WAIT_S)
        )
    try:
        yield
    finally:
        _ask(connection, f"RELEASE_LOCK({_NAME})")


def _ask(connection: BaseDatabaseWrapper, function: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}")
        row = cursor.fetchone()
    return row and row[0]
