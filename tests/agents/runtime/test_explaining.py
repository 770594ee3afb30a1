"""A failure of the database is told with what is in the way, if that can be seen."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.utils import translation

from agents.runtime import file_locks
from agents.runtime.explaining import explain, explain_to_reader


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
    monkeypatch.setattr(
        os, "access", lambda path, how: not (path == forbidden and how & os.W_OK) and may(path, how)
    )
    told = explain(OperationalError(said))
    assert told.startswith(f"{said}. The user of this process may not ")
    assert f" {forbidden}{',' if is_folder else '.'}" in told


def test_a_folder_that_may_not_be_entered_is_not_called_missing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, may = file.parent.parent, os.access
    monkeypatch.setattr(os, "access", lambda path, how: path != closed and may(path, how))
    monkeypatch.setattr(os.path, "isdir", lambda path: closed not in path.parents)
    told = explain(OperationalError("unable to open database file"))
    assert told.endswith(f"file. The user of this process may not enter {closed}.")


def test_a_file_of_somebody_else_beside_the_database_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, may = file.with_name("site.db-wal"), os.access
    beside.touch()
    monkeypatch.setattr(os, "access", lambda path, how: path != beside and may(path, how))
    told = explain(OperationalError("attempt to write a readonly database"))
    assert told.endswith(f"database. The user of this process may not read and write {beside}.")


def test_a_file_system_that_is_read_only_is_not_called_forbidden(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_mounted = list(os.statvfs(file.parent))
    as_mounted[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "access", lambda path, how: not how & os.W_OK)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(as_mounted))
    told = explain(OperationalError("unable to open database file"))
    assert told.endswith(f"file. The file system of {file.parent} is mounted read-only.")


def test_a_file_that_is_removed_while_it_is_looked_at_costs_only_the_reason(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_gone(path: Path) -> os.statvfs_result:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "access", lambda path, how: not how & os.W_OK)
    monkeypatch.setattr(os, "statvfs", is_gone)
    said = "attempt to write a readonly database"
    assert explain(OperationalError(said)) == said


def test_a_folder_in_place_of_the_file_is_named(file: Path) -> None:
    file.unlink()
    file.mkdir()
    told = explain(failure(file))
    assert told == f"unable to open database file. {file} is a folder, not an SQLite file."


def test_what_a_link_leads_to_is_looked_at(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = file.parent.with_name("link.db")
    link.symlink_to(file)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(link))
    shutil.rmtree(file.parent)
    told = explain(failure(link))
    assert told == f"unable to open database file. There is no folder {file.parent}."


def test_the_log_is_in_the_language_of_the_site_whoever_asks(file: Path) -> None:
    shutil.rmtree(file.parent)
    error = failure(file)
    with translation.override("zh-hans"):
        assert explain(TimeoutError()) != explain_to_reader(TimeoutError())
        assert "There is no folder" in explain(error)
        assert "没有文件夹" in explain_to_reader(error)


def test_what_nobody_can_see_is_told_as_it_is(file: Path) -> None:
    assert explain(OperationalError("disk I/O error")) == "disk I/O error"
    said = "unable to open database file"
    assert explain(OperationalError(said)) == said


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OperationalError(2013, "Lost connection to server"),
            "Lost connection to server (error 2013)",
        ),
        (InterfaceError(0, ""), "InterfaceError (error 0)"),
        (OperationalError(), "OperationalError"),
        (FileNotFoundError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"),
        (TimeoutError(), "too slow"),
    ],
)
def test_an_explanation_is_text_and_never_empty(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "vendor", "mysql")
    assert explain(error) == told
