"""What a failure of the database says to the person who reads it."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection
from django.utils import translation
from django.utils.translation import gettext

from agents.runtime import file_locks

_LOCKED = "database is locked"
_NOT_OPENED = "unable to open database file"
_READ_ONLY = "attempt to write a readonly database"


def explain(error: Exception) -> str:
    """For the log: the same as `explain_to_reader`, in the language of the site.

    A request may be in the language of its client.
    """
    with translation.override(settings.LANGUAGE_CODE):
        return explain_to_reader(error)


def explain_to_reader(error: Exception) -> str:
    """The error's text, with a sentence about what is in the way, if that can be seen.

    Never empty. In the active language.
    """
    text = _text_of(error)
    if connection.vendor != "sqlite":
        return text
    # SQLite keeps its other files beside what a link leads to.
    file, reason = Path(os.path.realpath(connection.settings_dict["NAME"])), ""
    if _LOCKED in text:
        reason = file_locks.tell_writer_of(file)
    elif _NOT_OPENED in text or _READ_ONLY in text:
        try:
            reason = _why_not_usable(file)
        except OSError:
            reason = ""  # A file was removed while it was looked at.
    return f"{text}. {reason}" if reason else text


def _text_of(error: Exception) -> str:
    match error, error.args:
        case DatabaseFailure(), (int() as number, str() as text):  # As MySQL's driver has it.
            return f"{text or type(error).__name__} (error {number})"
    if isinstance(error, TimeoutError):
        return str(error) or gettext("too slow")
    return str(error) or type(error).__name__


def _why_not_usable(file: Path) -> str:
    """Only asks for rights: to open the file and close it releases the locks of this process."""
    folder = file.parent
    for each in (*reversed(folder.parents), folder):
        # Nobody can see what is in a folder that may not be entered.
        if not os.path.isdir(each):
            return gettext("There is no folder {folder}.").format(folder=folder)
        if not os.access(each, os.X_OK):
            return gettext("The user of this process may not enter {path}.").format(path=each)
    if os.path.isdir(file):
        return gettext("{file} is a folder, not an SQLite file.").format(file=file)
    if not os.access(folder, os.W_OK):
        return _why_not_writable(
            folder,
            gettext(
                "The user of this process may not write in {path}, where SQLite keeps files beside "
                "the database."
            ),
        )
    for each in (file.with_name(f"{file.name}{ending}") for ending in ("", "-wal", "-shm")):
        if os.path.exists(each) and not os.access(each, os.R_OK | os.W_OK):
            return _why_not_writable(
                each, gettext("The user of this process may not read and write {path}.")
            )
    return ""


def _why_not_writable(path: Path, forbidden: str) -> str:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return gettext("The file system of {path} is mounted read-only.").format(path=path)
    return forbidden.format(path=path)
