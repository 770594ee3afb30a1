"""What an unfinished `migrate` has done so far, in a table that lives only as long as it lasts.

MySQL and MariaDB commit each statement that changes a table by itself: a process that is killed
leaves half a migration. So each statement is written down before it is carried out, and what
Django asks of the tables with the answer it got. Whoever begins the migration again gets the same
answers, hence the same statements, and leaves out those that are behind it. Of the last one
nobody knows whether it was carried out; it is tried, and an error that says 'this is so already'
is no error then.
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
"""Before the name of a migration that is taken back."""

_COLUMNS = (
    "migration varchar(255) NOT NULL, number integer NOT NULL, kind varchar(16) NOT NULL, "
    "content {text} NOT NULL, answer {text} NOT NULL, PRIMARY KEY (migration, number)"
)

Kind = Literal["statement", "answer", "code"]


class Changed(CommandError):
    """A migration goes on otherwise than it began."""

    def __init__(self, migration: str) -> None:
        super().__init__(
            gettext(
                "The migration {name} was begun by another version and can't be finished by this "
                "one: finish it with the version that began it, or restore the database."
            ).format(name=migration)
        )


class MigrationJournal:
    """Of one database. Between `begin` and `end` it belongs to one migration."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._migration = ""
        self._recorded: list[tuple[str, str, str]] = []
        self._position = 0

    @property
    def is_open(self) -> bool:
        return bool(self._migration)

    def exists(self) -> bool:
        """Whether a `migrate` began here and did not come to its end."""
        return TABLE in self._connection.introspection.table_names()

    def begin(self, migration: str) -> None:
        """From here on what the migration does is written down, or known from before."""
        text = "longtext" if self._connection.vendor == "mysql" else "text"
        self._sql(f"CREATE TABLE IF NOT EXISTS {TABLE} ({_COLUMNS.format(text=text)})")
        self._recorded = self._sql(
            f"SELECT kind, content, answer FROM {TABLE} WHERE migration = %s ORDER BY number",
            migration,
        )
        self._migration, self._position = migration, 0

    def end(self) -> None:
        """The migration is recorded as applied: nothing of it is to be known any more."""
        self._sql(f"DELETE FROM {TABLE} WHERE migration = %s", self._migration)
        self._migration = ""

    def drop(self) -> None:
        """All is done, unless another migration was left in its middle."""
        if not self.exists():
            return
        applied = {
            f"{app}.{name}"
            for app, name in MigrationRecorder(self._connection).applied_migrations()
        }
        begun = {name for (name,) in self._sql(f"SELECT DISTINCT migration FROM {TABLE}")}
        if all(
            (name.removeprefix(BACKWARDS) in applied) == (BACKWARDS not in name) for name in begun
        ):
            self._sql(f"DROP TABLE {TABLE}")

    def carry_out(self, statement: str, execute: Callable[[], Any]) -> None:
        """Executes it, unless that was done before."""
        if self._recall("statement", statement) is None:
            self._execute_first(statement, execute)
        elif self._position == len(self._recorded):
            self._execute_again(execute)

    def ask(self, question: str, find: Callable[[], Any]) -> Any:
        """The answer; that of the first time, if the question was asked before."""
        answer = self._recall("answer", question)
        if answer is None:
            found = find()
            answer = json.dumps(found, default=list)
            self._write("answer", question, answer)
        return json.loads(answer)

    def run(self, operation: str, code: Callable[[], None]) -> None:
        """Runs the code, unless that was done before.

        In a transaction it is done and noted as one; else it may happen twice.
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
        """What was written down at this place. Raises `Changed` if it was something else."""
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
