"""What the errors of databases mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from django.db import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
)

from agents.runtime.database_errors import is_away


@pytest.mark.parametrize(
    "error",
    [
        OperationalError(2002, "Can't connect to server"),
        OperationalError(2013, "Lost connection to server during query"),
        OperationalError(1040, "Too many connections"),
        OperationalError(1205, "Lock wait timeout exceeded"),
        OperationalError(1045, "Access denied for user"),
        OperationalError(1114, "The table is full"),
        OperationalError(1290, "The server is running with the --read-only option"),
        OperationalError("gone away"),
        InterfaceError(0, ""),
    ],
    ids=str,
)
def test_a_database_that_is_gone_locked_or_takes_no_writes_is_away(error: Error) -> None:
    assert is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        ProgrammingError(1146, "Table 'x' doesn't exist"),
        OperationalError(1054, "Unknown column 'x' in 'SELECT'"),
        OperationalError(1366, "Incorrect string value"),
        OperationalError(1267, "Illegal mix of collations"),
        OperationalError(1364, "Field 'x' doesn't have a default value"),
        OperationalError(1142, "SELECT command denied to user"),
        IntegrityError(1062, "Duplicate entry"),
        DataError(1406, "Data too long"),
        ValueError("no error of a database"),
        None,
    ],
    ids=str,
)
def test_what_is_wrong_with_a_statement_is_no_outage(error: Error) -> None:
    assert not is_away(error)


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize("sql", ["SELECT nothing FROM services_service", "SELECT 1 FROM nowhere"])
def test_a_mistake_of_ours_is_no_outage_on_the_real_database(sql: str) -> None:
    with pytest.raises(Error) as raised, connection.cursor() as cursor:
        cursor.execute(sql)
    assert not is_away(raised.value)


def locked(file: Path) -> None:
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as writer,
        closing(sqlite3.connect(file, timeout=0)) as other,
    ):
        writer.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO notes VALUES (1)")


def unreachable(file: Path) -> None:
    with closing(sqlite3.connect(file / "none" / "site.db")):
        pass


def read_only(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
        reader.execute("INSERT INTO notes VALUES (1)")


@pytest.mark.parametrize("work", [locked, unreachable, read_only])
def test_a_file_that_is_locked_or_out_of_reach_is_away(
    work: Callable[[Path], None], tmp_path: Path
) -> None:
    file = tmp_path / "site.db"
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE notes (number)")
    with pytest.raises(OperationalError) as raised, connection.wrap_database_errors:
        work(file)
    assert is_away(raised.value)
