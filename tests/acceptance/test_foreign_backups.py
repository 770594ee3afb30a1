"""A file of SQLite that is not a whole site, or more than one, becomes no site."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import copy_migrated
from tests.managed_site import ManagedSite

pytestmark = pytest.mark.processes


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A whole one, of a site without services."""
    made = tmp_path / "backup"
    copy_migrated(tmp_path / "site.db")
    ManagedSite(f"sqlite:///{tmp_path / 'site.db'}", tmp_path).manage("backup", str(made))
    return made


@pytest.fixture
def empty(tmp_path: Path) -> ManagedSite:
    folder = tmp_path / "empty"
    folder.mkdir()
    return ManagedSite(f"sqlite:///{folder / 'site.db'}", folder)


def no_records(file: sqlite3.Connection) -> None:
    file.execute("DROP TABLE django_migrations")


def a_table_less(file: sqlite3.Connection) -> None:
    file.execute("DROP TABLE agents_event")


def a_table_more(file: sqlite3.Connection) -> None:
    file.execute("CREATE TABLE another (id)")


def a_view(file: sqlite3.Connection) -> None:
    file.execute("CREATE VIEW looking AS SELECT 1")


def a_trigger(file: sqlite3.Connection) -> None:
    file.execute("CREATE TRIGGER spy AFTER INSERT ON agents_event BEGIN SELECT 1; END")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (no_records, "no database of this site"),
        (a_table_less, "lacks tables of the site: agents_event"),
        (a_table_more, "another"),
        (a_view, "view looking"),
        (a_trigger, "trigger spy"),
    ],
)
def test_a_file_that_is_not_just_a_site_becomes_none(
    backup: Path, empty: ManagedSite, change: Callable[[sqlite3.Connection], None], why: str
) -> None:
    with closing(sqlite3.connect(backup)) as file:
        change(file)
        file.commit()
    assert why in empty.manage("restore", str(backup), expect=1)
    assert not list(empty.folder.glob("*.db*"))


def test_a_restored_site_waits_for_its_own_key(backup: Path, empty: ManagedSite) -> None:
    del empty.environment["SECRET_KEY"]
    empty.manage("restore", str(backup))
    key = empty.folder / "var/secret_key"
    assert not key.exists()
    key.parent.mkdir(exist_ok=True)
    key.write_text("the key of the site that was backed up, put back")
    empty.services("list")
    assert key.read_text() == "the key of the site that was backed up, put back"
