"""Ensures that only one `migrate` runs at a time, on any number of machines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext

WAIT_S = 120

_ASK_S = 5
"""Seconds; less than the connection's read timeout."""

_NAME = "migrate.{hash}"
"""Of a lock: at most 64 characters, fewer than a database's name may have."""


@contextmanager
def only_one(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Holds the database's own lock, which ends with the connection. Raises `CommandError`.

    SQLite needs none besides its file lock: each migration is one transaction.
    """
    if connection.vendor != "mysql":
        yield
        return
    name = _name(connection)
    asks = range(WAIT_S // _ASK_S)
    if not any(_ask(connection, "GET_LOCK(%s, %s)", name, _ASK_S) for _ in asks):
        raise CommandError(
            gettext(
                "Another process has been changing the database's tables for {seconds} s."
            ).format(seconds=WAIT_S)
        )
    try:
        yield
    finally:
        _ask(connection, "RELEASE_LOCK(%s)", name)


def _name(connection: BaseDatabaseWrapper) -> str:
    """Hashed here: MySQL 9.6 and later have no function for it."""
    database = str(_ask(connection, "DATABASE()"))
    return _NAME.format(hash=hashlib.sha1(database.encode(), usedforsecurity=False).hexdigest())


def _ask(connection: BaseDatabaseWrapper, function: str, *values: str | int) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}", values)
        row = cursor.fetchone()
    return row and row[0]
