"""Records what an unfinished `migrate` has done, in a table that exists only until it is finished.

MySQL and MariaDB commit each statement that changes a table by itself: a killed process leaves half
a migration. So each statement is recorded before it is executed, and so is the answer to each
question that Django asks about the tables. When the migration is started again it gets the same
answers, hence produces the same statements, and skips those that were executed. Of the last
statement it is unknown whether it took effect: it is tried again, and an error that says that the
change exists already is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from django.core.management.base import CommandError
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext

from agents.runtime.database_errors import is_about_the_connection, is_so_already

TABLE = "myagent_migration_steps"

BACKWARDS = "-"
"""Prefix of the name of a migration that is being reversed."""

_COLUMNS = (
    "migration varchar(255) NOT NULL, number integer NOT NULL, kind varchar(16) NOT NULL, "
    "content {text} NOT NULL, answer {text} NOT NULL, PRIMARY KEY (migration, number)"
)

Kind = Literal["statement", "answer", "code"]


class Changed(CommandError):
    """The migration differs from the one that was started."""

    def __init__(self, migration: str) -> None:
        super().__init__(
            gettext(
                "The migration {name} was begun by another version and can't be finished by this "
                "one: finish it with the version that began it, or restore the database."
            ).format(name=migration)
        )


class MigrationJournal:
    """The journal of one database. Between `begin` and `end` it belongs to one migration."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._migration = ""
        self._recorded: list[tuple[str, str, str]] = []
        self._position = 0

    @property
    def is_open(self) -> bool:
        return bool(self._migration)

    def exists(self) -> bool:
        """Whether a `migrate` was started here and has not finished."""
        return TABLE in self._connection.introspection.table_names()

    def begin(self, migration: str) -> None:
        """Starts recording the migration, or replaying what was recorded before.

        What is left of the opposite, which must have been finished, is deleted: it may have been
        killed before its `end`.
        """
        text = "longtext" if self._connection.vendor == "mysql" else "text"
        self._sql(f"CREATE TABLE IF NOT EXISTS {TABLE} ({_COLUMNS.format(text=text)})")
        self._forget(_opposite_of(migration))
        self._recorded = self._sql(
            f"SELECT kind, content, answer FROM {TABLE} WHERE migration = %s ORDER BY number",
            migration,
        )
        self._migration, self._position = migration, 0

    def end(self) -> None:
        """The migration is recorded as applied: its journal is deleted."""
        self._forget(self._migration)
        self._migration = ""

    def drop(self) -> None:
        """Drops the table, unless another migration is unfinished."""
        if not self.exists():
            return
        applied = {
            f"{app}.{name}"
            for app, name in MigrationRecorder(self._connection).applied_migrations()
        }
        begun = {name for (name,) in self._sql(f"SELECT DISTINCT migration FROM {TABLE}")}
        # The migration of a finished reversal is not applied.
        if all((name.removeprefix(BACKWARDS) in applied) != _is_reversal(name) for name in begun):
            self._sql(f"DROP TABLE {TABLE}")

    def carry_out(self, statement: str, execute: Callable[[], Any]) -> None:
        """Executes the statement, unless that was done before."""
        if self._recall("statement", statement) is None:
            self._execute_first(statement, execute)
        elif self._position == len(self._recorded):
            self._execute_again(execute)

    def ask(self, question: str, find: Callable[[], Any]) -> Any:
        """The answer; the recorded one if the question was asked before."""
        answer = self._recall("answer", question)
        if answer is None:
            found = find()
            answer = json.dumps(found, default=list)
            self._write("answer", question, answer)
        return json.loads(answer)

    def run(self, operation: str, code: Callable[[], None]) -> None:
        """Runs the code, unless that was done before.

        In a transaction it is run and recorded together; otherwise it may run twice.
        """
        if self._recall("code", operation) is not None:
            return
        migration, self._migration = self._migration, ""
        try:
            code()
        finally:
            self._migration = migration
        self._write("code", operation)

    def _execute_first(self, statement: str, execute: Callable[[], Any]) -> None:
        self._write("statement", statement)
        try:
            execute()
        except DatabaseError as error:
            if not is_about_the_connection(error):
                self._forget_last()
            raise

    def _execute_again(self, execute: Callable[[], Any]) -> None:
        try:
            execute()
        except DatabaseError as error:
            if not is_so_already(error):
                raise

    def _recall(self, kind: Kind, content: str) -> str | None:
        """What was recorded at this position. Raises `Changed` if it was something else."""
        if self._position == len(self._recorded):
            return None
        was, before, answer = self._recorded[self._position]
        if (was, before) != (kind, content):
            raise Changed(self._migration)
        self._position += 1
        return answer

    def _write(self, kind: Kind, content: str, answer: str = "") -> None:
        self._sql(
            f"INSERT INTO {TABLE} (migration, number, kind, content, answer)"
            " VALUES (%s, %s, %s, %s, %s)",
            *(self._migration, self._position, kind, content, answer),
        )
        self._recorded.append((kind, content, answer))
        self._position += 1

    def _forget(self, migration: str) -> None:
        self._sql(f"DELETE FROM {TABLE} WHERE migration = %s", migration)

    def _forget_last(self) -> None:
        self._recorded.pop()
        self._position -= 1
        self._sql(
            f"DELETE FROM {TABLE} WHERE migration = %s AND number = %s",
            *(self._migration, self._position),
        )

    def _sql(self, statement: str, *values: Any) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []


def _is_reversal(migration: str) -> bool:
    # The prefix may also occur within a name.
    return migration.startswith(BACKWARDS)


def _opposite_of(migration: str) -> str:
    """The name of its reversal, or of the migration that it reverses."""
    return migration.removeprefix(BACKWARDS) if _is_reversal(migration) else BACKWARDS + migration
