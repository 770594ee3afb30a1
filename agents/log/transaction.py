"""One transaction of the log, at the fewest waits for the database.

Every message passes through, and each statement that is sent alone is a way to the database's
server and back. Django's own transaction adds two that only switch its autocommit off and on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import Error as DatabaseFailure
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from agents.runtime.database import drop_connection

Answer = Sequence[tuple[Any, ...]]
"""The rows of a query."""


class Query(NamedTuple):
    """Plain SQL that reads: places for values are `%s`; there is no `;` and no other `%` in it."""

    text: str
    values: Sequence[Any] = ()


BEGIN = Query("BEGIN")


@contextmanager
def one_transaction(*queries: Query) -> Iterator[tuple[CursorWrapper, list[Answer]]]:
    """A transaction that begins with these queries; its cursor, and their answers in order.

    Committed at the end of the context, or rolled back and the error raised. Raises
    `django.db.Error`; if the commit raised, its outcome is unknown. Not for the ORM's transactions
    inside it.
    """
    if connection.vendor != "mysql" or connection.in_atomic_block:
        with transaction.atomic(), connection.cursor() as cursor:
            yield cursor, ask(cursor, queries)
        return
    with connection.cursor() as cursor:
        try:
            yield cursor, ask(cursor, [BEGIN, *queries])[1:]
            connection.commit()
        except BaseException:
            _roll_back()
            raise


def ask(cursor: CursorWrapper, queries: Sequence[Query]) -> list[Answer]:
    """The answer to each query, in order. MySQL's are sent, and waited for, together."""
    if cursor.db.vendor != "mysql" or len(queries) < 2:
        return [_answer(cursor, query) for query in queries]
    driver = cursor.cursor
    with cursor.db.wrap_database_errors:
        text = ";".join(query.text for query in queries)
        driver.execute(text, [value for query in queries for value in query.values])
        answers = [driver.fetchall()]
        while driver.nextset():
            answers.append(driver.fetchall())
    return answers


def _answer(cursor: CursorWrapper, query: Query) -> Answer:
    cursor.execute(query.text, query.values)
    rows: Answer = cursor.fetchall()
    return rows


def _roll_back() -> None:
    """A connection that can't is closed, which ends its transaction as well."""
    try:
        connection.rollback()
    except DatabaseFailure:
        drop_connection()
