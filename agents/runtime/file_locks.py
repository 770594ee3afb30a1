"""Finds the process that holds the write lock of an SQLite file (Linux only)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil
from django.utils.translation import gettext

from agents.runtime.process import identity_of, is_stopped

LOCKS = Path("/proc/locks")

WRITE_BYTE = 120
"""The locked byte of the `-shm` file (https://sqlite.org/walformat.html, 2.3.1)."""


def tell_writer_of(database: Path) -> str:
    """A sentence about the process that is writing to the file; empty if none can be seen."""
    pid = writer_of(database)
    return "" if pid is None else _sentence(pid)


def writer_of(database: Path) -> int | None:
    """The process that is writing to the file; None if there is none or it can't be seen.

    The locks are read from `/proc`: opening and closing the file would release the locks of this
    process.
    """
    try:
        inode = database.with_name(f"{database.name}-shm").stat().st_ino
        lines = LOCKS.read_text().splitlines()
    except OSError:
        return None
    return holder(lines, inode)


def holder(lines: Iterable[str], inode: int) -> int | None:
    """The process that holds the write lock, given the contents of `/proc/locks`."""
    for line in lines:
        fields = line.split()
        # Entries that only wait are marked with an arrow: `1: -> POSIX …`.
        if fields[1:4] != ["POSIX", "ADVISORY", "WRITE"] or len(fields) < 8:
            continue
        pid, place, first, last = fields[4:8]
        is_of_file = place.rpartition(":")[2] == str(inode)
        if is_of_file and int(first) <= WRITE_BYTE and (last == "EOF" or int(last) >= WRITE_BYTE):
            return int(pid) if int(pid) > 0 else None
    return None


def _sentence(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        name = " ".join(process.cmdline()[:4]) or process.name()
    except psutil.Error:
        name = "?"
    if is_stopped(identity_of(pid) or ""):
        return gettext(
            "Process {pid} ({name}) holds the lock and is frozen (SIGSTOP): let it go on "
            "(kill -CONT {pid}) or end it (kill -KILL {pid})."
        ).format(pid=pid, name=name)
    return gettext("Process {pid} ({name}) holds the lock.").format(pid=pid, name=name)
