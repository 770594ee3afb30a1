"""Classifies the errors of databases."""

from __future__ import annotations

from sqlite3 import SQLITE_ERROR

from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)

AWAY_RETRY_S = 5
"""Seconds after which to ask again for what needs the database, while that is away."""

# Errors that say 'this row can't be stored', in MySQL's numbers: packet too large, incorrect
# string, data too long, invalid JSON. MySQL's driver reports some of them as operational errors.
_MYSQL_ROW_ERRORS = frozenset({1153, 1366, 1406, 3140})

# A wait for a lock that took too long or was not wanted, and a deadlock: another row may be free.
_MYSQL_LOCK_ERRORS = frozenset({1205, 1213, 3572})

# The connection is lost: whether the last statement was executed is not known.
_MYSQL_LOST = frozenset({2006, 2013, 2055})

# The server takes no writes: it was made, or is still, a copy of another.
_MYSQL_READ_ONLY = frozenset({1290, 1836})

# By these the client itself tells that it can't connect, or not any more.
_MYSQL_OF_THE_CLIENT = range(2000, 3000)

# The server can't work for us now: no disk, memory or connection is left, we may not come in, there
# is no such database, it shuts down or has blocked us, the network, limits, an interruption.
_MYSQL_AWAY = (
    frozenset({1021, 1030, 1037, 1038, 1040, 1041, 1044, 1045, 1049, 1053, 1114, 1129, 1130})
    | frozenset({1158, 1159, 1160, 1161, 1203, 1226, 1317, 1927, 4031})
    | _MYSQL_LOCK_ERRORS
    | _MYSQL_READ_ONLY
)

# The table, column, key, primary key or constraint exists already, or the table, column or key to
# drop or rename does not exist.
_MYSQL_SO_ALREADY = frozenset(
    {1022, 1050, 1051, 1054, 1060, 1061, 1068, 1091, 1146, 1826, 3822, 4092}
)

# MariaDB's number for a foreign key that can't be created, and its text if there is one already.
_MARIADB_NO_FOREIGN_KEY = 1005
_MARIADB_DUPLICATE = "errno: 121"


def is_passing(error: Exception) -> bool:
    """Whether the database may accept the same batch later; False if it never will."""
    if isinstance(error, IntegrityError):
        return False
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    return _code_of(error) not in _MYSQL_ROW_ERRORS


def is_away(error: BaseException | None) -> bool:
    """Whether the database can't be used now: it is gone, locked, full or takes no writes.

    False for a statement that is wrong, which the same databases report as operational errors too.
    """
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    # Django's errors have the driver's as their cause; only SQLite's have this attribute.
    if (kind := getattr(error.__cause__, "sqlite_errorcode", None)) is not None:
        return bool(kind & 0xFF != SQLITE_ERROR)
    code = _code_of(error)
    return not isinstance(code, int) or code in _MYSQL_OF_THE_CLIENT or code in _MYSQL_AWAY


def is_about_a_row(error: Exception) -> bool:
    """Whether another row may be written at once nevertheless."""
    if isinstance(error, IntegrityError | DataError):
        return True
    codes = _MYSQL_ROW_ERRORS | _MYSQL_LOCK_ERRORS
    return isinstance(error, OperationalError) and _code_of(error) in codes


def is_about_a_lock(error: Exception) -> bool:
    """Whether another transaction was in the way; a deadlock has rolled back our transaction."""
    return isinstance(error, OperationalError) and _code_of(error) in _MYSQL_LOCK_ERRORS


def is_about_the_connection(error: Exception) -> bool:
    """Whether it is unknown if the statement took effect."""
    return isinstance(error, InterfaceError) or _code_of(error) in _MYSQL_LOST


def is_about_the_server(error: Exception) -> bool:
    """Whether another server may have the database now, at the same address."""
    return isinstance(error, OperationalError) and _code_of(error) in _MYSQL_READ_ONLY


def is_so_already(error: Exception) -> bool:
    """Whether a statement that changes a table failed because the change was made before."""
    if _code_of(error) == _MARIADB_NO_FOREIGN_KEY:
        return _MARIADB_DUPLICATE in str(error)
    return _code_of(error) in _MYSQL_SO_ALREADY


def _code_of(error: Exception) -> object:
    return error.args[0] if error.args else None
