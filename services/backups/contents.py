"""Whether a database is a whole one of a site, and has nothing else."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext_noop

from agents.runtime import migration_journal
from services.errors import ServiceError

RECORDS = MigrationRecorder.Migration._meta.db_table
"""The table of the migrations that were applied."""

BESIDE = {RECORDS, migration_journal.TABLE}
"""Tables that no migration makes."""


@dataclass(frozen=True)
class Contents:
    """Of a database: names of its tables, `migrations` as (app, name), and what acts by itself.

    `acting`: triggers, views, routines and events.
    """

    tables: Collection[str]
    migrations: Collection[tuple[str, str]]
    acting: Collection[str]


def judge(contents: Contents, path: Path, *, may_have_more: bool = False) -> None:
    """Raises `ServiceError` for the contents of the backup `path`.

    `may_have_more`: whether tables that are not the site's are left alone.
    """
    loader = MigrationLoader(None)
    known = [one for one in contents.migrations if one in loader.graph.nodes]
    if not known:
        raise ServiceError(
            "no_site", gettext_noop("{path} has no database of this site."), path=path
        )
    expected = _tables_after(loader, known)
    if missing := sorted(expected - set(contents.tables)):
        raise ServiceError(
            "tables_missing",
            gettext_noop("{path} lacks tables of the site: {tables}."),
            path=path,
            tables=", ".join(missing[:3]),
        )
    more = set(contents.acting)
    # A newer version may have further tables.
    if not may_have_more and len(known) == len(contents.migrations):
        more |= set(contents.tables) - expected - BESIDE
    if more:
        raise ServiceError(
            "more_than_a_site",
            gettext_noop(
                "{path} has what no database of the site has: {names}. If it is yours, drop that "
                "in a copy of the file, and restore the copy."
            ),
            path=path,
            names=", ".join(sorted(more)[:3]),
        )


def _tables_after(loader: MigrationLoader, migrations: list[tuple[str, str]]) -> set[str]:
    models = loader.project_state(migrations).apps.get_models(include_auto_created=True)
    return {model._meta.db_table for model in models if model._meta.managed} | {RECORDS}
