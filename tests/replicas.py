"""A database server with a copy that follows it, of which either may have the clients.

Replication is semi-synchronous: a commit is answered when the copy has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import MySQLdb
from MySQLdb.cursors import DictCursor

from tests.mysql_server import database_server
from tests.servers import MariaDB

SITE_USER = "site"
PATIENCE = 20
"""Seconds that a copy may take for what it has received."""


def statements(port: int, *texts: str) -> None:
    """Executes them as root, in one session."""
    with closing(MySQLdb.connect(host="127.0.0.1", port=port, user="root")) as connection:
        for text in texts:
            connection.cursor().execute(text)


def rows(port: int, text: str) -> list[dict[str, Any]]:
    """An answer, by names of columns, which are in small letters."""
    with closing(MySQLdb.connect(host="127.0.0.1", port=port, user="root")) as connection:
        cursor = connection.cursor(DictCursor)
        cursor.execute(text)
        return [{name.lower(): value for name, value in row.items()} for row in cursor.fetchall()]


def make_site(port: int, name: str = "site") -> str:
    """A database, with a user as the documents have it. Returns its DATABASE_URL."""
    statements(
        port,
        f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
        f"CREATE USER {SITE_USER}@'127.0.0.1' IDENTIFIED BY 'secret'",
        f"GRANT ALL ON {name}.* TO {SITE_USER}@'127.0.0.1'",
    )
    return f"mysql://{SITE_USER}:secret@127.0.0.1:{port}/{name}"


class Replicas:
    """Two servers, the second of which is read-only and follows the first."""

    def __init__(self, primary: MariaDB, copy: MariaDB) -> None:
        self.primary = primary
        self.copy = copy
        self._speaks_mysql = database_server() is not MariaDB

    def begin(self) -> None:
        if self._speaks_mysql:
            self._begin_mysql()
        else:
            self._begin_mariadb()

    def promote(self) -> None:
        """The copy applies what it has received, and takes writes from then on."""
        if self._speaks_mysql:
            statements(self.copy.port, "STOP REPLICA IO_THREAD")
            received = rows(self.copy.port, "SHOW REPLICA STATUS")[0]["retrieved_gtid_set"]
            statements(
                self.copy.port,
                f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{received}', {PATIENCE})",
                *("STOP REPLICA", "RESET REPLICA ALL"),
                *("SET GLOBAL super_read_only=OFF", "SET GLOBAL read_only=OFF"),
            )
        else:
            statements(self.copy.port, "STOP SLAVE IO_THREAD")
            received = rows(self.copy.port, "SHOW SLAVE STATUS")[0]["gtid_io_pos"]
            statements(
                self.copy.port,
                f"SELECT MASTER_GTID_WAIT('{received}', {PATIENCE})",
                *("STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only=OFF"),
            )

    def _begin_mysql(self) -> None:
        statements(
            self.primary.port,
            "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
            "SET GLOBAL rpl_semi_sync_source_timeout=60000",
            "CREATE USER copy@'127.0.0.1' IDENTIFIED BY 'copy'",
            "GRANT REPLICATION SLAVE ON *.* TO copy@'127.0.0.1'",
        )
        statements(
            self.copy.port,
            "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
            "SET GLOBAL rpl_semi_sync_replica_enabled=ON",
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', "
            f"SOURCE_PORT={self.primary.port}, SOURCE_USER='copy', SOURCE_PASSWORD='copy', "
            "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1",
            *("START REPLICA", "SET GLOBAL super_read_only=ON"),
        )
        statements(self.primary.port, "SET GLOBAL rpl_semi_sync_source_enabled=ON")

    def _begin_mariadb(self) -> None:
        statements(
            self.primary.port,
            "SET GLOBAL rpl_semi_sync_master_timeout=60000",
            "SET GLOBAL rpl_semi_sync_master_wait_point='AFTER_SYNC'",
            "CREATE USER copy@'127.0.0.1' IDENTIFIED BY 'copy'",
            "GRANT REPLICATION SLAVE ON *.* TO copy@'127.0.0.1'",
        )
        statements(
            self.copy.port,
            "SET GLOBAL rpl_semi_sync_slave_enabled=ON",
            "CHANGE MASTER TO MASTER_HOST='127.0.0.1', "
            f"MASTER_PORT={self.primary.port}, MASTER_USER='copy', MASTER_PASSWORD='copy', "
            "MASTER_USE_GTID=slave_pos",
            *("START SLAVE", "SET GLOBAL read_only=ON"),
        )
        statements(self.primary.port, "SET GLOBAL rpl_semi_sync_master_enabled=ON")


def _logging(number: int) -> type[MariaDB]:
    """A server that keeps a log for others to follow."""
    kind = database_server()
    options = [f"--server-id={number}", "--log-bin=log", "--binlog-format=ROW", "--sync-binlog=0"]
    if kind is not MariaDB:
        options += ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"]

    class Logging(kind):  # type: ignore[misc, valid-type]
        def command(self) -> Sequence[str]:
            left_out = ("--skip-log-bin", "--disable-log-bin")
            return [word for word in super().command() if word not in left_out] + options

    return Logging


@contextmanager
def replicas() -> Iterator[Replicas]:
    with _logging(1)() as primary, _logging(2)() as copy:
        pair = Replicas(primary, copy)
        pair.begin()
        yield pair
