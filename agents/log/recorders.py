"""Rows that other apps derive from log entries, written in the same transaction.

So a recorder's rows always agree with the log. A recorder that fails loses only its own rows: those
of the write at which it raised, or those of the batch if the database refuses one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, Protocol

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db.backends.utils import CursorWrapper
from django.utils.module_loading import import_string

from agents.log.bulk import write_rows
from agents.log.entry import Logged
from agents.log.writes import Write
from agents.runtime.database_errors import is_about_a_lock

logger = structlog.get_logger(__name__)


class Row(NamedTuple):
    """A row that is written: the statement, one of its recorder's `statements`, and its values
    for each `%s` in it; see `agents.log.bulk`.

    The same at every attempt to commit.
    """

    statement: str
    values: tuple[Any, ...]


class Recorder(Protocol):
    @property
    def statements(self) -> Sequence[str]:
        """The plain SQL of its rows, in the order in which the rows of a batch are written.

        Rows of one statement are written in the order of the log.
        """

    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        """The rows about a write, whose entries were given their places in the log at `at`.

        Called in the journal's thread, once for every attempt at a commit:
        without effects, and quick. Nothing is written before it.
        """

    def note_committed(self) -> None:
        """Rows of this recorder were committed. Called in the journal's thread; must not raise."""


@cache
def configured() -> tuple[Recorder, ...]:
    """One of each class in `settings.MYAGENT_RECORDERS`."""
    return tuple(import_string(path)() for path in settings.MYAGENT_RECORDERS)


class RowsRefused(Exception):
    """The database does not take a recorder's rows: the entries have to be written without it."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(_name(recorder))
        self.recorder = recorder


class Recording:
    """What the recorders keep of one batch. `failures`: how often one of them failed."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self.failures = 0
        self._recorders = recorders
        self._rows: list[dict[str, list[tuple[Any, ...]]]] = [{} for _ in recorders]

    def add(self, write: Write, logged: Sequence[Logged], at: datetime) -> None:
        for recorder, rows in zip(self._recorders, self._rows, strict=True):
            try:
                for statement, values in list(recorder.record(write, logged, at)):
                    rows.setdefault(statement, []).append(values)
            except Exception:
                self.failures += 1
                logger.exception("recorder_failed", recorder=_name(recorder))

    def save(self, cursor: CursorWrapper) -> None:
        """Inside the transaction of the entries. Raises `RowsRefused`, or what else may pass."""
        for recorder, rows in zip(self._recorders, self._rows, strict=True):
            try:
                if rows:
                    order = recorder.statements
                    write_rows(cursor, [(each, rows[each]) for each in order if each in rows])
            except Exception as error:
                if isinstance(error, DatabaseFailure) and not _may_go_on(error, cursor):
                    raise
                logger.exception("recorder_rows_refused", recorder=_name(recorder))
                raise RowsRefused(recorder) from error

    def note_committed(self) -> None:
        for recorder, rows in zip(self._recorders, self._rows, strict=True):
            if rows:
                recorder.note_committed()


def _may_go_on(error: DatabaseFailure, cursor: CursorWrapper) -> bool:
    """Whether the transaction survived an error: then it is about these rows."""
    if is_about_a_lock(error):
        return False
    try:
        cursor.execute("SELECT 1")
    except DatabaseFailure:
        return False
    return True


def _name(recorder: Recorder) -> str:
    return f"{type(recorder).__module__}.{type(recorder).__qualname__}"
