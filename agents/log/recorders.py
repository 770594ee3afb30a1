"""Rows that other apps derive from log entries, written in the same transaction.

So a recorder's rows always agree with the log. A recorder that fails loses only its own rows: those
of the write at which it raised, or those of the batch if the database refuses one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from typing import Protocol

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection, models, transaction
from django.utils.module_loading import import_string

from agents.log.entry import Logged
from agents.log.writes import Write
from agents.runtime.database_errors import is_about_a_lock

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """`instance` is a new row, or an existing one with new values in the fields `changes`.

    Its primary key is derived from what is recorded, so that it is the same at every attempt to
    commit.
    """

    instance: models.Model
    changes: tuple[str, ...] = ()


class Recorder(Protocol):
    def record(self, write: Write, logged: Sequence[Logged], at: datetime) -> Iterable[Row]:
        """The rows about a write, whose entries were given their places in the log at `at`.

        Called in the journal's thread, once for every attempt at a commit:
        without effects, and quick. Nothing is written before it.
        """


@cache
def configured() -> tuple[Recorder, ...]:
    """One of each class in `settings.MYAGENT_RECORDERS`."""
    return tuple(import_string(path)() for path in settings.MYAGENT_RECORDERS)


class Recording:
    """What the recorders keep of one batch. `failures`: how often one of them failed."""

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self.failures = 0
        self._recorders = recorders
        self._rows: list[list[Row]] = [[] for _ in recorders]

    def add(self, write: Write, logged: Sequence[Logged], at: datetime) -> None:
        for recorder, rows in zip(self._recorders, self._rows, strict=True):
            try:
                rows.extend(list(recorder.record(write, logged, at)))
            except Exception:
                self.failures += 1
                logger.exception("recorder_failed", recorder=_name(recorder))

    def save(self) -> None:
        """Inside the transaction of the entries. Raises only what ends that as well."""
        for recorder, rows in zip(self._recorders, self._rows, strict=True):
            if not rows:
                continue
            try:
                with transaction.atomic():
                    _save(rows)
            except Exception as error:
                if isinstance(error, DatabaseFailure) and not _may_go_on(error):
                    raise
                self.failures += 1
                logger.exception("recorder_rows_refused", recorder=_name(recorder))


def _save(rows: Sequence[Row]) -> None:
    """In the order of the rows; those of one kind that follow each other go together."""
    for (model, changes), alike in groupby(rows, lambda row: (type(row.instance), row.changes)):
        manager, instances = model._default_manager, [row.instance for row in alike]
        if changes:
            manager.bulk_update(instances, changes)
        else:
            manager.bulk_create(instances)


def _may_go_on(error: DatabaseFailure) -> bool:
    """Whether the transaction survived an error: then only these rows were affected."""
    if is_about_a_lock(error):
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseFailure:
        return False
    return True


def _name(recorder: Recorder) -> str:
    return f"{type(recorder).__module__}.{type(recorder).__qualname__}"
