"""Classifies the errors of databases."""

from __future__ import annotations

from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)

# Errors that say 'this row can't be stored', in MySQL's numbers: packet too large, incorrect
# string, data too long, invalid JSON. MySQL's driver reports some of them as operational errors.
_MYSQL_ROW_ERRORS = frozenset({1153, 1366, 1406, 3140})

# A lock wait that timed out, and a deadlock: another row may be free.
_MYSQL_LOCK_ERRORS = frozenset({1205, 1213})


def is_passing(error: Exception) -> bool:
    """Whether the database may accept the same batch later, unlike a row that it never will."""
    if isinstance(error, IntegrityError):
        return False
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    return _code_of(error) not in _MYSQL_ROW_ERRORS


def is_about_a_row(error: Exception) -> bool:
    """Whether another row may be written immediately nevertheless."""
    if isinstance(error, IntegrityError | DataError):
        return True
    codes = _MYSQL_ROW_ERRORS | _MYSQL_LOCK_ERRORS
    return isinstance(error, OperationalError) and _code_of(error) in codes


def is_about_a_lock(error: Exception) -> bool:
    """Whether another transaction was in the way; a deadlock has rolled back one's own."""
    return isinstance(error, OperationalError) and _code_of(error) in _MYSQL_LOCK_ERRORS


def _code_of(error: Exception) -> object:
    return error.args[0] if error.args else None
