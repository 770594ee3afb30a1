"""Many rows by one statement, at the least cost that the database's driver has for them.

Every message passes through: here Django's cursor takes longer than the database, as it looks
through a statement's text each time, and a driver that asks for each row waits for each answer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db.backends.utils import CursorWrapper


def write_many(cursor: CursorWrapper, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Executes a statement of ours for each row. Raises `django.db.Error`.

    Its places for values are `%s`, and nothing else in it is a `%`.
    """
    database, driver = cursor.db, cursor.cursor
    with database.wrap_database_errors:
        if database.vendor == "sqlite":
            sqlite3.Cursor.executemany(driver, _with_marks_of_sqlite(statement), rows)
        else:
            # Updates go together, as the rows of an insert do; older drivers pass over it.
            driver.cursor.executemany_fallback = "multi"
            driver.executemany(statement, rows)


@cache
def _with_marks_of_sqlite(statement: str) -> str:
    return statement.replace("%s", "?")
