"""What a failure of the database says to the person who reads it."""

from __future__ import annotations

import os
from pathlib import Path

from django.db import connection
from django.utils.translation import gettext

from agents.runtime import file_locks

_LOCKED = "database is locked"
_NOT_USABLE = ("unable to open database file", "attempt to write a readonly database")


def explain(error: Exception) -> str:
    """The error's text, with a sentence about what is in the way, if that can be seen."""
    text = _text_of(error)
    if connection.vendor != "sqlite":
        return text
    file, reason = Path(connection.settings_dict["NAME"]), ""
    if _LOCKED in text:
        reason = file_locks.tell_writer_of(file)
    elif any(said in text for said in _NOT_USABLE):
        reason = _why_not_usable(file)
    return f"{text}. {reason}" if reason else text


def _text_of(error: Exception) -> str:
    match error.args:
        case (int() as number, str() as text):  # As MySQL's driver has it.
            return f"{text} (error {number})"
    return str(error)


def _why_not_usable(file: Path) -> str:
    """Only asks for rights: to open the file and close it releases the locks of this process."""
    folder = file.parent
    if not os.path.isdir(folder):
        return gettext("There is no folder {path}.").format(path=folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        return gettext(
            "The user of this process may not write in {path}, where SQLite keeps files beside the "
            "database."
        ).format(path=folder)
    if os.path.exists(file) and not os.access(file, os.R_OK | os.W_OK):
        return gettext("The user of this process may not read and write {path}.").format(path=file)
    return ""
