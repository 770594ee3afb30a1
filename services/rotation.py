"""A process's own log, rotated by itself: nothing that it writes meanwhile is lost."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from agents.database import DatabaseThreads

LOOK_S = 0.2
"""Seconds between two looks at how large a log has become."""


async def keep_bounded(threads: DatabaseThreads, path: Path) -> None:
    """Rotates the log if this process writes to it and it is full; to be repeated.

    Raises `OSError`. Cancelling is safe.
    """
    # A look costs nothing; what there is to do may take its time.
    if os.fstat(2).st_size >= settings.MYAGENT_LOG_BYTES:
        await threads.run(
            rotate_if_large, path, settings.MYAGENT_LOG_BYTES, settings.MYAGENT_LOG_FILES
        )


def rotate_if_large(path: Path, max_bytes: int, kept: int) -> bool:
    """Gives this process's output a new file when the old one is full; whether it did.

    The old one becomes `.log.1`, that one `.log.2`, up to `kept`. What is
    written meanwhile goes to the old file or the new. Of several processes
    with one log, those that did not rotate it follow. Raises `OSError`.
    """
    if os.fstat(2).st_size < max_bytes:
        return False
    if _is_output(path):
        _make_room(path, kept)
    elif not any(_is_output(_older(path, number)) for number in range(1, kept + 1)):
        return False
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    finally:
        os.close(descriptor)
    return True


def _make_room(path: Path, kept: int) -> None:
    for number in range(kept, 0, -1):
        newer = path if number == 1 else _older(path, number - 1)
        if newer.exists():
            newer.replace(_older(path, number))
    if not kept:
        path.unlink()


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _is_output(path: Path) -> bool:
    """Whether the file is where this process's output goes."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(2))
    except FileNotFoundError:
        return False
