"""Many rows of many statements, at the least cost that the database's driver has for them.

Every message passes through. Here Django's cursor takes longer than SQLite, as it looks through a
statement's text each time; and MySQL's driver waits for an answer to each statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from django.db.backends.utils import CursorWrapper

Values = tuple[Any, ...]

PACKET = 64 * 1024
"""Characters of values that are sent at once, unless those of a single row are more."""


def write_rows(cursor: CursorWrapper, work: Iterable[tuple[str, Sequence[Values]]]) -> None:
    """Executes each statement for each of its rows, in order. Raises `django.db.Error`.

    A statement's places for values are `%s`; nothing else in it is a `%`, and it has no `;`.
    """
    database = cursor.db
    with database.wrap_database_errors:
        if database.vendor == "sqlite":
            for statement, rows in work:
                sqlite3.Cursor.executemany(cursor.cursor, _of_sqlite(statement), rows)
            return
        for text, values in packets(work):
            _execute(cursor, text, values)


@cache
def _of_sqlite(statement: str) -> str:
    return statement.replace("%s", "?")


def packets(work: Iterable[tuple[str, Sequence[Values]]]) -> Iterator[tuple[str, list[Any]]]:
    """Statements for all rows, as texts of several, each with its values. No I/O."""
    texts: list[str] = []
    sent: list[Any] = []
    size = 0
    for statement, rows in work:
        for part, length in _parts(rows):
            if texts and size + length > PACKET:
                yield ";".join(texts), sent
                texts, sent, size = [], [], 0
            texts.append(_for_rows(statement, len(part)))
            for values in part:
                sent += values
            size += length
    if texts:
        yield ";".join(texts), sent


def _parts(rows: Sequence[Values]) -> Iterator[tuple[Sequence[Values], int]]:
    """The rows in portions, each with its characters: at most `PACKET`, or those of one row."""
    first, size = 0, 0
    for place, values in enumerate(rows):
        length = sum(len(each) for each in values if isinstance(each, str))
        if place > first and size + length > PACKET:
            yield rows[first:place], size
            first, size = place, 0
        size += length
    yield rows[first:], size


def _for_rows(statement: str, count: int) -> str:
    head, values, rest = statement.partition(" VALUES ")
    if not values:
        return ";".join([statement] * count)
    marks, end, tail = rest.partition(")")
    return f"{head}{values}{','.join([marks + end] * count)}{tail}"


def _execute(cursor: CursorWrapper, text: str, values: Sequence[Any]) -> None:
    driver, errors = cursor.cursor, cursor.db.Database
    driver.execute(text, values)
    try:
        # Each statement has an answer, which may be an error.
        while driver.nextset():
            pass
    except errors.OperationalError as error:
        # As Django sorts the errors of a first statement.
        if error.args[0] in driver.codes_for_integrityerror:
            raise errors.IntegrityError(*error.args) from error
        raise
