"""Who holds locks in the database, and who waits for them. SQLite shows nobody."""

from __future__ import annotations

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
