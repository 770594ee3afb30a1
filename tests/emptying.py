"""Takes the rows out of the tests' own database after a test that committed.

Django's own flush writes to every table, and all permissions anew: more work than most tests are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.color import no_style
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase

KEPT = frozenset({"django_content_type", "auth_permission", "django_migrations"})
"""Tables that are filled when they are made, and whose rows no test changes."""


def empty_tables(test: TransactionTestCase) -> None:
    """Stands in for `TransactionTestCase._fixture_teardown`."""
    for name in test._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
        connection: Any = connections[name]
        statements = connection.ops.sql_flush(no_style(), tables_with_rows(connection))
        connection.ops.execute_sql_flush(statements)


def tables_with_rows(connection: BaseDatabaseWrapper) -> list[str]:
    """Those of our models that are not to be kept."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    with connection.cursor() as cursor:
        cursor.execute(_question({*tables} - KEPT, connection))
        return [table for (table,) in cursor.fetchall()]


def _question(tables: Iterable[str], connection: BaseDatabaseWrapper) -> str:
    """All tables in one statement: how many there are must not matter."""
    quote = connection.ops.quote_name
    questions = [f"SELECT '{table}' AS name FROM {quote(table)} LIMIT 1" for table in tables]
    return " UNION ALL ".join(
        f"SELECT * FROM ({question}) found_{number}" for number, question in enumerate(questions)
    )
