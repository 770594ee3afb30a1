"""A failure of the database is told with what is in the way, if that can be seen."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from agents.runtime import file_locks
from agents.runtime.explaining import explain


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site's database, as far as the explanation knows."""
    file = tmp_path / "folder" / "site.db"
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE t (x)")
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(file))
    return file


def failure(file: Path) -> OperationalError:
    """Of a write."""
    try:
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO t VALUES (1)")
    except sqlite3.OperationalError as error:
        return OperationalError(*error.args)
    raise AssertionError("it was written")


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.skipif(not file_locks.LOCKS.exists(), reason="Linux tells, others don't")
def test_who_holds_the_lock_is_named(file: Path) -> None:
    with locked(file):
        told = explain(failure(file))
    assert told.startswith(f"database is locked. Process {os.getpid()} (")


def test_a_folder_that_is_gone_is_named(file: Path) -> None:
    shutil.rmtree(file.parent)
    told = explain(failure(file))
    assert told == f"unable to open database file. There is no folder {file.parent}."


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize(
    "said", ["unable to open database file", "attempt to write a readonly database"]
)
def test_what_the_process_may_not_use_is_named(
    said: str, is_folder: bool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden, may = (file.parent if is_folder else file), os.access
    # Nothing is forbidden to root, who may run this.
    monkeypatch.setattr(os, "access", lambda path, how: path != forbidden and may(path, how))
    told = explain(OperationalError(said))
    assert told.startswith(f"{said}. The user of this process may not ")
    assert f" {forbidden}{',' if is_folder else '.'}" in told


def test_what_nobody_can_see_is_told_as_it_is(file: Path) -> None:
    assert explain(OperationalError("disk I/O error")) == "disk I/O error"
    said = "unable to open database file"
    assert explain(OperationalError(said)) == said


def test_the_number_of_mysqls_errors_follows_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "mysql")
    error = OperationalError(2002, "Can't connect to server on '127.0.0.1' (115)")
    assert explain(error) == "Can't connect to server on '127.0.0.1' (115) (error 2002)"
