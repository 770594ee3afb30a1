"""Keeps logs bounded: a process's own, and those that workers write to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import structlog
from django.conf import settings

from agents.runtime.database import DatabaseThreads

logger = structlog.get_logger(__name__)

LOOK_S = 0.2
"""Seconds between two checks of a log's size."""

COPY_BYTES = 1 << 16


async def keep_bounded(threads: DatabaseThreads, path: Path) -> None:
    """Rotates the log if this process writes to it and it is full; to be repeated.

    Raises `OSError`. Cancelling is safe.
    """
    # The check is cheap, the rotation may take long.
    if os.fstat(2).st_size >= settings.MYAGENT_LOG_BYTES:
        await threads.run(
            rotate_if_large, path, settings.MYAGENT_LOG_BYTES, settings.MYAGENT_LOG_FILES
        )


async def keep_bounded_for_others(threads: DatabaseThreads, paths: Iterable[Path]) -> None:
    """The same for logs that other processes write to, and do not rotate."""
    for path in list(paths):
        if path.exists() and path.stat().st_size >= settings.MYAGENT_LOG_BYTES:
            await threads.run(
                empty_if_large, path, settings.MYAGENT_LOG_BYTES, settings.MYAGENT_LOG_FILES
            )


def bound_ended(path: Path) -> None:
    """The same, once, for the log of a process that has ended."""
    try:
        empty_if_large(path, settings.MYAGENT_LOG_BYTES, settings.MYAGENT_LOG_FILES)
    except OSError as error:
        # What became of the process is more important.
        logger.warning("log_not_rotated", path=str(path), error=str(error))


def rotate_if_large(path: Path, max_bytes: int, kept: int) -> bool:
    """Redirects this process's output to a new file when the old one is full; returns whether.

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


def empty_if_large(path: Path, max_bytes: int, kept: int) -> bool:
    """Moves another process's log to `.log.1` when it is full; returns whether it did.

    The process, which appends, goes on in the same file, now an empty one. The
    file is emptied right after its last part was read: only a line that is written at that very
    moment is lost. Raises `OSError`.
    """
    try:
        if path.stat().st_size < max_bytes:
            return False
        with path.open("r+b") as log:
            if kept:
                _move_to_first(log, path, kept)
            log.truncate(0)
    except FileNotFoundError:
        return False  # Its service was unregistered.
    return True


def _move_to_first(log: BinaryIO, path: Path, kept: int) -> None:
    copy = _copy(path)
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        shutil.copyfileobj(log, file, COPY_BYTES)
        file.flush()
        _shift(path, kept)
        copy.replace(_older(path, 1))
        # Copies what is written meanwhile, until nothing is.
        while rest := log.read(COPY_BYTES):
            file.write(rest)
            file.flush()


def _make_room(path: Path, kept: int) -> None:
    _shift(path, kept)
    if kept:
        path.replace(_older(path, 1))
    else:
        path.unlink()


def _shift(path: Path, kept: int) -> None:
    """Frees the name of the first older file."""
    for number in range(kept, 1, -1):
        newer = _older(path, number - 1)
        if newer.exists():
            newer.replace(_older(path, number))


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _copy(path: Path) -> Path:
    """A name that is not taken for a log: readers look for numbers."""
    return path.with_name(f"{path.name}.copy")


def _is_output(path: Path) -> bool:
    """Whether this process's output goes to the file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(2))
    except FileNotFoundError:
        return False
