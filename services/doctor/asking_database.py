"""Asks the database, for `database` and `machine` to judge."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils.translation import gettext_noop

from agents.runtime import schema
from agents.runtime.explaining import explain_to_reader
from agents.runtime.migration_journal import MigrationJournal
from services.doctor import database, machine
from services.doctor.database import Migrations, MysqlServer, SqliteFile
from services.doctor.finding import Finding, problem

ANSWER_S = 5
"""Whole seconds for one statement, and for a lock of SQLite."""

SERVER = """
    SELECT VERSION(), s.default_character_set_name, s.default_collation_name, @@sql_mode,
        @@time_zone, @@max_allowed_packet, @@global.read_only,
        @@global.innodb_flush_log_at_trx_commit, {isolation}, @@autocommit
    FROM information_schema.schemata s WHERE s.schema_name = DATABASE()
"""

ODD_TABLES = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'
        AND (engine <> 'InnoDB' OR table_collation NOT LIKE 'utf8mb4%')
"""


def look_at_database() -> list[Finding]:
    """Its own findings; the rest can be looked at if none of them is that it doesn't answer."""
    if settings.IS_EMBEDDED and not Path(settings.DATABASES["default"]["NAME"]).exists():
        return [
            problem(
                "database",
                gettext_noop("There is no database yet: {path}."),
                gettext_noop("Start the site, or `manage.py migrate`: either makes it."),
                path=settings.DATABASES["default"]["NAME"],
            )
        ]
    found: list[Finding] = []
    with closing(_own_connection()) as connection:
        try:
            found.extend(_look(connection))
        except DatabaseFailure as error:
            found.append(
                problem(
                    "database",
                    gettext_noop("The database can't be used: {reason}"),
                    gettext_noop(
                        "See that it runs, and that DATABASE_URL or MYSQL_* names its host, user, "
                        "password and database."
                    ),
                    reason=explain_to_reader(error),
                )
            )
    return found


def _own_connection() -> BaseDatabaseWrapper:
    """One that gives up early."""
    connection: BaseDatabaseWrapper = connections["default"].copy()
    options = connection.settings_dict["OPTIONS"]
    if settings.IS_EMBEDDED:
        options["timeout"] = ANSWER_S
    else:
        options |= {f"{what}_timeout": ANSWER_S for what in ("connect", "read", "write")}
    return connection


def _look(connection: BaseDatabaseWrapper) -> Iterator[Finding]:
    if settings.IS_EMBEDDED:
        yield from database.judge_sqlite(_sqlite_file(connection))
    else:
        yield from database.judge_mysql(_mysql_server(connection))
        yield machine.judge_clock(*_clock(connection))
    yield from database.judge_migrations(_migrations(connection))


def _sqlite_file(connection: BaseDatabaseWrapper) -> SqliteFile:
    path = Path(connection.settings_dict["NAME"])
    version, journal = _row(
        connection, "SELECT sqlite_version(), journal_mode FROM pragma_journal_mode"
    )
    return SqliteFile(
        path=str(path),
        mode=path.stat().st_mode,
        version=version,
        journal_mode=journal,
        write_failure=_write_failure(connection, "BEGIN IMMEDIATE"),
    )


def _mysql_server(connection: Any) -> MysqlServer:
    # MariaDB has had the other name only since 11.1.
    isolation = "@@tx_isolation" if connection.mysql_is_mariadb else "@@transaction_isolation"
    row = _row(connection, SERVER.format(isolation=isolation))
    with connection.cursor() as cursor:
        cursor.execute(ODD_TABLES)
        odd = [str(name) for (name,) in cursor.fetchall()]
    is_there = MigrationRecorder(connection).has_table()
    change = "UPDATE django_migrations SET app = app WHERE id < 0" if is_there else "DO 0"
    return MysqlServer(
        version=row[0],
        charset=row[1],
        collation=row[2],
        sql_mode=row[3],
        time_zone=row[4],
        packet_mb=row[5] / 1024**2,
        is_read_only=str(row[6]) not in ("0", "OFF"),
        flushes=int(row[7]),
        isolation=row[8],
        commits_itself=bool(row[9]),
        write_failure=_write_failure(connection, change),
        odd_tables=odd,
    )


def _write_failure(connection: BaseDatabaseWrapper, statement: str) -> str:
    """Why a statement that writes, and changes nothing, is refused."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.execute("ROLLBACK")
    except DatabaseFailure as error:
        return explain_to_reader(error)
    return ""


def _clock(connection: BaseDatabaseWrapper) -> tuple[float, float]:
    """By how many seconds the database's clock is ahead, and how long it took to ask."""
    before, begun = datetime.now(UTC), time.monotonic()
    (theirs,) = _row(connection, "SELECT UTC_TIMESTAMP(6)")
    took_s = time.monotonic() - begun
    ahead_s = (theirs.replace(tzinfo=UTC) - before).total_seconds() - took_s / 2
    return ahead_s, took_s


def _migrations(connection: BaseDatabaseWrapper) -> Migrations:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Migrations(
        pending=[str(migration) for migration, _ in plan],
        unknown=schema.unknown_migrations(connection),
        is_unfinished=MigrationJournal(connection).exists(),
    )


def _row(connection: BaseDatabaseWrapper, statement: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row: tuple[Any, ...] = cursor.fetchone()
    return row
