"""Who holds locks in the database, and who waits for them. SQLite shows nobody."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import MySQLdb
from django.db import connection

LOOK_S = 0.15
"""MariaDB shows transactions anew to those who look less than ten times a second."""

TRANSACTIONS = """
    SELECT COUNT(*) FROM information_schema.innodb_trx AS held
    JOIN information_schema.processlist AS holder ON holder.id = held.trx_mysql_thread_id
    WHERE holder.db = DATABASE()
"""
"""SQL: those in this database; the server has others."""


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"{TRANSACTIONS} AND trx_state = 'LOCK WAIT'")
        return bool(cursor.fetchone() != (0,))


@contextmanager
def nobody_writes(database_url: str) -> Iterator[None]:
    """Into this database of SQLite."""
    file = urlsplit(database_url).path
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def locking_the_log(
    port: int, database: str, *, held_s: float, table: str = "agents_event"
) -> Iterator[None]:
    """Somebody who locks a table of it for so long, again and again, and is the next to wait."""
    is_over = threading.Event()

    def lock() -> None:
        other = MySQLdb.connect(host="127.0.0.1", port=port, user="root", db=database)
        with closing(other), other.cursor() as cursor:
            while not is_over.is_set():
                cursor.execute(f"LOCK TABLES {table} WRITE")
                is_over.wait(held_s)
                cursor.execute("UNLOCK TABLES")

    thread = threading.Thread(target=lock)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
