"""Reads from a MySQL or MariaDB server: a connection for each reading, with limits on all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from dotenv import dotenv_values
from pymysql.constants import ER
from pymysql.cursors import SSCursor

from mysql_example.statements import Refused

MAX_ROWS = 50
MAX_STATEMENT_S = 5
CONNECT_TIMEOUT_S = 5

NETWORK_TIMEOUT_S = MAX_STATEMENT_S + 5
"""For a server that does not keep to the limit, or is gone."""

MAX_AGGREGATE_BYTES = 10_000

SESSION = (
    # As the parser reads it: in double quotes is text, and a backslash escapes.
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY'",
    f"SET SESSION group_concat_max_len = {MAX_AGGREGATE_BYTES}",
)

NOT_ALLOWED = frozenset({
    *(ER.DBACCESS_DENIED_ERROR, ER.ACCESS_DENIED_ERROR, ER.TABLEACCESS_DENIED_ERROR),
    *(ER.COLUMNACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR, ER.PROCACCESS_DENIED_ERROR),
})  # fmt: skip
TOOK_TOO_LONG = frozenset({ER.STATEMENT_TIMEOUT, ER.QUERY_TIMEOUT})
"""MariaDB's number of it, and MySQL's."""

FIRST_OF_CLIENT, LAST_OF_CLIENT = 2000, 2999
"""Numbers of errors that come from the connection, and not from the server."""


@dataclass(frozen=True)
class Settings:
    """Which database, and who reads it."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @classmethod
    def read(cls, file: Path) -> Settings:
        """The settings in a file of `NAME=value` lines. Raises `Refused`."""
        if not file.is_file():
            raise Refused(
                f"No database is set up: copy {file.name}.example to {file.name}, in the same "
                "folder, and set MYSQL_HOST and the others in it."
            )
        # A `$` in a password stands for itself.
        return cls.of(dotenv_values(file, interpolate=False), file.name)

    @classmethod
    def of(cls, given: Mapping[str, str | None], source: str) -> Settings:
        """Raises `Refused`."""
        host, port, user, password, database = (
            given.get(f"MYSQL_{name}") or default
            for name, default in (
                *(("HOST", "127.0.0.1"), ("PORT", "3306")),
                *(("USER", ""), ("PASSWORD", ""), ("DATABASE", "")),
            )
        )
        if not (user and database):
            raise Refused(f"MYSQL_USER and MYSQL_DATABASE must be set in {source}.")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise Refused(f"MYSQL_PORT must be a number from 1 to 65535 in {source}.")
        return cls(host, int(port), user, password, database)


@dataclass(frozen=True)
class Rows:
    """What a statement gave; `has_more`: there were more than `MAX_ROWS`."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    has_more: bool = False


@dataclass(frozen=True)
class Database:
    """Reads with the settings of a file, which are read anew each time."""

    file: Path

    def read(self, statement: str, values: Sequence[Any] = ()) -> Rows:
        """At most `MAX_ROWS` of a statement's rows, within `MAX_STATEMENT_S`. Raises `Refused`.

        `values` stand for the `%s` of the statement; without any, a `%` in it is nothing special.
        Blocking. The transaction is read-only, and is never committed.
        """
        settings = Settings.read(self.file)
        try:
            with closing(_connect(settings)) as connection:
                _set_limits(connection)
                with connection.cursor() as cursor:
                    cursor.execute(statement, values or None)
                    return _rows(cursor)
        except (pymysql.MySQLError, OSError) as error:
            raise Refused(_sentence(error, settings)) from error
        except RuntimeError as error:
            # The driver's own way to say what it needs for MySQL's usual plugin of passwords.
            raise Refused(f"The agent can't log in to the database: {error}.") from error


def _connect(settings: Settings) -> pymysql.Connection[SSCursor]:
    """The driver sends one statement at a time, and no files, unless it is told otherwise."""
    return pymysql.connect(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        password=settings.password,
        database=settings.database,
        charset="utf8mb4",
        # Unbuffered: of a large result, the rows over the limit are never kept.
        cursorclass=SSCursor,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=NETWORK_TIMEOUT_S,
        write_timeout=NETWORK_TIMEOUT_S,
        local_infile=False,
    )


def _set_limits(connection: pymysql.Connection[SSCursor]) -> None:
    is_mariadb = "MariaDB" in connection.get_server_info()
    limit = (
        f"SET SESSION max_statement_time = {MAX_STATEMENT_S}"
        if is_mariadb
        else f"SET SESSION max_execution_time = {int(MAX_STATEMENT_S * 1000)}"
    )
    with connection.cursor() as cursor:
        for statement in (
            *(*SESSION, limit),
            # One more tells that there are more. A LIMIT of the statement's own goes first.
            f"SET SESSION sql_select_limit = {MAX_ROWS + 1}",
            # The first for what ends a transaction before it begins, as DROP and TRUNCATE do.
            "SET SESSION TRANSACTION READ ONLY",
            "START TRANSACTION READ ONLY",
        ):
            cursor.execute(statement)


def _rows(cursor: SSCursor) -> Rows:
    columns = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchmany(MAX_ROWS + 1) if columns else []
    return Rows(columns, rows[:MAX_ROWS], has_more=len(rows) > MAX_ROWS)


def _sentence(error: Exception, settings: Settings) -> str:
    """What went wrong, for the model: it may correct a statement, and tell about the rest."""
    number, *said = error.args or (0,)
    if number in TOOK_TOO_LONG:
        return f"The statement took more than {MAX_STATEMENT_S} s and was stopped: ask for less."
    if number in NOT_ALLOWED:
        return f"The database does not allow {settings.user} to do that."
    if isinstance(error, OSError) or FIRST_OF_CLIENT <= number <= LAST_OF_CLIENT:
        return f"The database at {settings.host}:{settings.port} can't be reached."
    return f"The database refused the statement: {' '.join(map(str, said))}."
