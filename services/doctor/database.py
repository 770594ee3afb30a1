"""Judges the database. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from services.doctor.finding import Finding, fine, problem, warning

LEAST_PACKET_MB = 16
"""MiB of one statement: an entry of the log may have 8, and is escaped."""

SYNCED = 1
"""`innodb_flush_log_at_trx_commit` with which a commit is on disk."""


@dataclass(frozen=True, slots=True)
class SqliteFile:
    path: str
    mode: int
    version: str
    journal_mode: str
    write_failure: str
    """Why nothing can be written; '' if it can."""


@dataclass(frozen=True, slots=True)
class MysqlServer:
    """The session's values, as the site's own connections have them."""

    version: str
    charset: str
    collation: str
    isolation: str
    sql_mode: str
    time_zone: str
    commits_itself: bool
    """Outside of transactions."""
    packet_mb: float
    is_read_only: bool
    write_failure: str
    flushes: int
    odd_tables: Sequence[str]
    """Tables with another engine than InnoDB, or another character set than utf8mb4."""


@dataclass(frozen=True, slots=True)
class Migrations:
    pending: Sequence[str]
    unknown: Sequence[str]
    """Applied ones that this version does not have."""
    is_unfinished: bool


def judge_sqlite(found: SqliteFile) -> Iterator[Finding]:
    values = {"path": found.path, "version": found.version, "mode": f"{found.mode & 0o777:o}"}
    yield fine("database", gettext_noop("SQLite {version} answers: {path}."), **values)
    if found.write_failure:
        yield problem(
            "database_writes",
            gettext_noop("Nothing can be written to the database: {reason}"),
            gettext_noop("Look at who owns {path} and its folder, and at the process named."),
            reason=found.write_failure,
            **values,
        )
    if found.journal_mode != "wal":
        yield problem(
            "database_journal",
            gettext_noop("SQLite's journal mode is {journal}, not wal: readers block writers."),
            gettext_noop("Put the file on a local disk: network file systems can't have WAL."),
            journal=found.journal_mode,
        )
    if found.mode & 0o077:
        yield warning(
            "database_file",
            gettext_noop("Other users may have access to {path} (mode {mode})."),
            gettext_noop("chmod 600 {path}: it holds all conversations."),
            **values,
        )


def judge_mysql(found: MysqlServer) -> Iterator[Finding]:
    yield fine("database", gettext_noop("The database answers: {version}."), version=found.version)
    yield from _judge_writes(found)
    yield from _judge_texts(found)
    yield from _judge_session(found)
    if found.packet_mb < LEAST_PACKET_MB:
        yield problem(
            "database_packet",
            gettext_noop("max_allowed_packet is {size} MiB: long answers can't be stored."),
            gettext_noop("SET GLOBAL max_allowed_packet = {least} MiB or more, in my.cnf as well."),
            size=round(found.packet_mb, 1),
            least=LEAST_PACKET_MB,
        )
    if found.flushes != SYNCED:
        yield warning(
            "database_durability",
            gettext_noop(
                "innodb_flush_log_at_trx_commit is {value}: if the machine loses power, messages "
                "that were accepted may be lost."
            ),
            gettext_noop("Set it to 1, the default, unless you accept that."),
            value=found.flushes,
        )


def _judge_writes(found: MysqlServer) -> Iterator[Finding]:
    if found.is_read_only:
        yield problem(
            "database_writes",
            gettext_noop("The database server is read-only."),
            gettext_noop("Name the primary in DATABASE_URL, or SET GLOBAL read_only = 0 there."),
        )
    elif found.write_failure:
        yield problem(
            "database_writes",
            gettext_noop("Nothing can be written to the database: {reason}"),
            gettext_noop("Give the user of DATABASE_URL all privileges on the database."),
            reason=found.write_failure,
        )


def _judge_texts(found: MysqlServer) -> Iterator[Finding]:
    if found.charset != "utf8mb4" or not found.collation.startswith("utf8mb4"):
        yield problem(
            "database_charset",
            gettext_noop("The database's character set is {charset} ({collation}), not utf8mb4."),
            gettext_noop("ALTER DATABASE … CHARACTER SET utf8mb4: others lack some characters."),
            charset=found.charset,
            collation=found.collation,
        )
    if found.odd_tables:
        yield problem(
            "database_tables",
            gettext_noop("Some tables are not InnoDB with utf8mb4: {tables}."),
            gettext_noop(
                "ALTER TABLE … ENGINE=InnoDB, or CONVERT TO CHARACTER SET utf8mb4: without "
                "transactions messages can be lost."
            ),
            tables=", ".join(found.odd_tables[:5]),
        )


def _judge_session(found: MysqlServer) -> Iterator[Finding]:
    """Options in DATABASE_URL may have replaced those that the site needs."""
    wrong = []
    if "STRICT" not in found.sql_mode:
        wrong.append(f"sql_mode={found.sql_mode}")
    if found.isolation.upper().replace("-", " ") != "READ COMMITTED":
        wrong.append(f"isolation={found.isolation}")
    if found.time_zone not in ("+00:00", "UTC"):
        wrong.append(f"time_zone={found.time_zone}")
    if not found.commits_itself:
        wrong.append("autocommit=0")
    if wrong:
        yield problem(
            "database_session",
            gettext_noop("Connections do not have the mode that the site needs: {wrong}."),
            gettext_noop("Leave init_command, isolation_level and sql_mode out of DATABASE_URL."),
            wrong=", ".join(wrong),
        )


def judge_migrations(found: Migrations) -> Iterator[Finding]:
    if found.is_unfinished:
        yield problem(
            "migrations",
            gettext_noop("A migration was begun and has not been finished."),
            gettext_noop("`manage.py migrate`, with the version that began it, goes on with it."),
        )
    if found.pending:
        yield problem(
            "migrations",
            gettext_noop("Migrations that have not been applied: {count} ({names})."),
            gettext_noop("`manage.py migrate`; servers and supervisors do it when they start."),
            count=len(found.pending),
            names=", ".join(found.pending[:3]),
        )
    if found.unknown:
        yield warning(
            "migrations",
            gettext_noop("A newer version has changed the database: {names}."),
            gettext_noop("Fine while an upgrade is under way; then this version is to leave."),
            names=", ".join(found.unknown[:3]),
        )
    if not (found.is_unfinished or found.pending or found.unknown):
        yield fine("migrations", gettext_noop("All migrations have been applied."))
