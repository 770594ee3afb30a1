"""What an interrupted migration has done is done once; what is finished is not remembered."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from agents.runtime.migrating import Progress
from agents.runtime.migration_journal import MigrationJournal

pytestmark = pytest.mark.django_db

STATEMENTS = ("create one", "create two", "create three")
NAMES = ("shop.0001_initial", "shop.0002_with-hyphen")


def carry_out(name: str, *, statements: tuple[str, ...] = STATEMENTS) -> list[str]:
    """As a process that is killed before `end`; returns the statements that it executed."""
    journal, executed = MigrationJournal(connection), list[str]()
    journal.begin(name)
    for statement in statements:
        journal.carry_out(statement, lambda statement=statement: executed.append(statement))
    return executed


def record(name: str, *, is_applied: bool) -> None:
    recorder = MigrationRecorder(connection)
    (recorder.record_applied if is_applied else recorder.record_unapplied)(*name.split("."))


def test_what_was_interrupted_is_continued_behind_its_last_statement() -> None:
    assert carry_out("shop.0001_initial", statements=STATEMENTS[:2]) == list(STATEMENTS[:2])
    assert carry_out("shop.0001_initial") == list(STATEMENTS[1:])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("one", "other"), [("", "-"), ("-", "")])
def test_what_was_killed_when_it_was_finished_and_then_undone_is_done_anew(
    name: str, one: str, other: str
) -> None:
    assert carry_out(one + name) == list(STATEMENTS)
    assert carry_out(other + name, statements=("drop all",)) == ["drop all"]
    assert carry_out(one + name) == list(STATEMENTS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prefix", ["", "-"])
def test_the_table_is_dropped_once_all_is_finished(name: str, prefix: str) -> None:
    carry_out(prefix + name)
    journal = MigrationJournal(connection)
    record(name, is_applied=prefix == "-")
    journal.drop()
    assert journal.exists()
    record(name, is_applied=prefix == "")
    journal.drop()
    assert not journal.exists()


def test_one_that_turns_out_to_be_done_already_is_finished_as_well() -> None:
    progress = Progress(connection)
    progress.on_progress("apply_start", NAMES[0], is_faked=False)
    progress.on_progress("apply_success", NAMES[0], is_faked=True)
    assert not progress.journal.is_open
    progress.on_progress("apply_start", NAMES[1], is_faked=True)
    progress.on_progress("apply_success", NAMES[1], is_faked=True)
    assert not progress.journal.is_open
