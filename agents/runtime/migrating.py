"""Makes migrations resumable: ours, Django's, and those of other apps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration, RunPython

from agents.runtime import barriers
from agents.runtime.migration_journal import BACKWARDS, MigrationJournal

_QUESTIONS = frozenset({"get_constraints", "get_storage_engine"})
"""Questions that Django's schema editor for MySQL asks about tables, and acts on."""


class Progress:
    """The progress of one `migrate`, and the journal that it leaves if it is interrupted."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.journal = MigrationJournal(connection)
        # Where a migration is one transaction, either all of it or nothing is done.
        self._is_needed = not connection.features.can_rollback_ddl
        self._statements = 0

    def on_progress(self, action: str, migration: Any, *, is_faked: bool) -> None:
        """Callback of the migration executor: `apply_start`, `apply_success`, `unapply_start`, …"""
        verb, _, moment = action.partition("_")
        if verb not in ("apply", "unapply"):
            return
        if moment == "success":
            # Only now may it turn out to be faked: `--fake-initial` looks after the start.
            if self.journal.is_open:
                self.journal.end()
        elif not is_faked:
            self.journal.begin(f"{BACKWARDS if verb == 'unapply' else ''}{migration}")
            if self._is_needed:
                _run_code_once(migration, self.journal)

    def execute(self, statement: str, execute: Callable[[], Any]) -> None:
        """Executes one of the statements that change tables."""
        if not self.journal.is_open:
            execute()
            return
        self._statements += 1
        point = f"migration {self._statements}"

        def act() -> None:
            barriers.reach([f"before {point}"])
            execute()
            barriers.reach([f"after {point}"])

        if self._is_needed:
            self.journal.carry_out(statement, act)
        else:
            act()

    def finish(self) -> None:
        barriers.reach(["before migration end"])
        self.journal.drop()


@contextmanager
def resumable(connection: BaseDatabaseWrapper) -> Iterator[Progress]:
    """Journals the connection's migrations within the context; report progress to the result."""
    progress = Progress(connection)
    editor, introspection = connection.SchemaEditorClass, connection.introspection
    connection.SchemaEditorClass = _editor_class(editor, progress)
    connection.introspection = _Introspection(introspection, progress.journal)  # type: ignore[assignment]
    try:
        yield progress
    finally:
        connection.SchemaEditorClass, connection.introspection = editor, introspection


def _editor_class(base: Any, progress: Progress) -> Any:
    class Editor(base):  # type: ignore[misc]
        def execute(self, sql: Any, params: Any = ()) -> None:
            execute = super().execute
            if self.collect_sql:
                execute(sql, params)
            else:
                progress.execute(str(sql), lambda: execute(sql, params))

    return Editor


class _Introspection:
    """The database's introspection; answers given during a migration stay valid until its end."""

    def __init__(self, introspection: Any, journal: MigrationJournal) -> None:
        self._introspection = introspection
        self._journal = journal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._introspection, name)
        if name not in _QUESTIONS or not self._journal.is_open:
            return found

        def ask(cursor: Any, table: str) -> Any:
            return self._journal.ask(f"{name} {table}", lambda: found(cursor, table))

        return ask


def _run_code_once(migration: Migration, journal: MigrationJournal) -> None:
    # The instance's own list, although the stubs say otherwise.
    migration.operations = [  # type: ignore[misc]
        _that_runs_once(operation, str(number), journal)
        if isinstance(operation, RunPython)
        else operation
        for number, operation in enumerate(migration.operations)
    ]


def _that_runs_once(operation: RunPython, name: str, journal: MigrationJournal) -> RunPython:
    # A copy: the operation belongs to the migration's class.
    once = copy.copy(operation)
    once.code = _once(name, once.code, journal)
    if once.reverse_code is not None:
        once.reverse_code = _once(name, once.reverse_code, journal)
    return once


def _once(name: str, code: Any, journal: MigrationJournal) -> Any:
    def run(apps: Any, schema_editor: Any) -> None:
        journal.run(name, lambda: code(apps, schema_editor))

    return run
