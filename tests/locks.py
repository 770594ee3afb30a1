"""Who waits for a lock in the database."""

from __future__ import annotations

from django.db import connection

LOOK_S = 0.15
"""MariaDB shows locks anew to those who look less than ten times a second."""


def somebody_waits() -> bool:
    """Of MariaDB; SQLite shows nobody."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
        return cursor.fetchone() is not None
