"""Limits the size of logs: a process's own, and those that workers write to."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import structlog
from django.conf import settings

from agents.runtime.database import DatabaseThreads
from agents.runtime.limits import Seldom

logger = structlog.get_logger(__name__)

LOOK_S = 0.1
"""Seconds between two checks of a log's size."""

HURRY_S = 0.01
"""The same while a log was full at the last check: its process may print more at once."""

COPY_BYTES = 1 << 16

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk, or of a user's share of it, that has no room."""

_failures = Seldom(pause_s=60.0)
_losses = Seldom(pause_s=60.0)


async def keep_bounded(threads: DatabaseThreads, path: Path) -> None:
    """Rotates the log if this process writes to it and it is full; to be repeated.

    A log that can't be rotated is reported, seldom. Cancelling is safe.
    """
    try:
        # The check is cheap, the rotation may take long.
        if os.fstat(2).st_size >= settings.MYAGENT_LOG_BYTES:
            await threads.run(
                rotate_if_large, path, settings.MYAGENT_LOG_BYTES, settings.MYAGENT_LOG_FILES
            )
    except OSError as error:
        _say_not_rotated(path, error)


async def keep_bounded_for_others(paths: Callable[[], Iterable[Path]]) -> None:
    """The same for logs that other processes write to without rotating them.

    Returns when all of them are small, or can't be rotated, which is reported: until then it checks
    again and again. It does not use the database threads, which may all be busy.
    """
    is_any_full = True
    while is_any_full:
        is_any_full = any([await _keep_bounded_for_another(path) for path in list(paths())])
        await asyncio.sleep(HURRY_S)


async def _keep_bounded_for_another(path: Path) -> bool:
    """Whether the log was full, and no longer is."""
    try:
        if not _is_large(path, settings.MYAGENT_LOG_BYTES):
            return False
        return await asyncio.to_thread(
            empty_if_large, path, settings.MYAGENT_LOG_BYTES, settings.MYAGENT_LOG_FILES
        )
    except OSError as error:
        # The other logs must stay bounded all the same.
        _say_not_rotated(path, error)
        return False


def _say_not_rotated(path: Path, error: OSError) -> None:
    if (left_out := _failures.take()) is not None:
        logger.warning("log_not_rotated", path=str(path), error=str(error), left_out=left_out)


def _is_large(path: Path, max_bytes: int) -> bool:
    try:
        return path.stat().st_size >= max_bytes
    except FileNotFoundError:
        return False  # Its service was unregistered.


def bound_ended(path: Path) -> None:
    """The same, once, for the log of a process that has ended."""
    try:
        empty_if_large(path, settings.MYAGENT_LOG_BYTES, settings.MYAGENT_LOG_FILES)
    except OSError as error:
        # What happened to the process is more important.
        logger.warning("log_not_rotated", path=str(path), error=str(error))


def rotate_if_large(path: Path, max_bytes: int, kept: int) -> bool:
    """Redirects this process's output to a new file if the old one is full; returns whether it did.

    The old file becomes `.log.1`, that one `.log.2`, up to `kept`. Output written meanwhile goes to
    the old or the new file. If several processes share a log, those that did not rotate it follow.
    Raises `OSError`.
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
    """Moves another process's log to `.log.1` if it is full; returns whether it did.

    The process appends to the same file, which is then empty. The file is emptied right after its
    end was copied: only a line written at that very moment is lost, and output that is written
    faster than it can be copied. On a full disk older output makes room for newer; what does not
    fit even then is lost, so that the log is emptied in any case. Raises `OSError`.
    """
    try:
        if not _is_large(path, max_bytes):
            return False
        with path.open("r+b") as log:
            if kept:
                _move_to_older(log, path, kept, max_bytes)
            log.truncate(0)
    except FileNotFoundError:
        return False  # Its service was unregistered.
    return True


def _move_to_older(log: BinaryIO, path: Path, kept: int, max_bytes: int) -> None:
    """Copies the log into pieces not much larger than one log may be; the last pieces are kept."""
    size = os.fstat(log.fileno()).st_size
    if (begin := size - kept * max_bytes) > 0:
        log.seek(begin)
        log.readline()  # The rest of a line.
        if log.tell() >= size:
            log.seek(begin)  # Of a last line longer than all that is kept, its end.
    slack = max(max_bytes // 32, COPY_BYTES)
    is_last = False
    while not is_last:
        begin = log.tell()
        if os.fstat(log.fileno()).st_size <= begin:
            return  # Its process has emptied it meanwhile.
        is_last = size - begin <= max_bytes + slack
        try:
            _move_piece(log, path, kept, size - begin if is_last else max_bytes)
        except OSError as error:
            if error.errno not in FULL:
                raise
            _copy(path).unlink(missing_ok=True)
            if not _drop_oldest(path, kept):
                _say_lost(path, error)
                return
            log.seek(begin)
            is_last = False
    _copy_news(log, path, slack)


def _copy_news(log: BinaryIO, path: Path, most: int) -> None:
    """Copies what was written meanwhile, until there is nothing new or this much is copied."""
    try:
        with _older(path, 1).open("ab") as file:
            _copied(log, file, most)
    except OSError as error:
        if error.errno not in FULL:
            raise
        _say_lost(path, error)


def _drop_oldest(path: Path, kept: int) -> bool:
    """Deletes the oldest of the older files; returns whether there was one."""
    for number in range(kept, 0, -1):
        if _older(path, number).exists():
            _older(path, number).unlink()
            return True
    return False


def _say_lost(path: Path, error: OSError) -> None:
    if (left_out := _losses.take()) is not None:
        logger.warning("log_lost", path=str(path), error=str(error), left_out=left_out)


def _move_piece(log: BinaryIO, path: Path, kept: int, length: int) -> None:
    """Copies so many bytes and the rest of the line; they become the first older file."""
    with open(_copy(path), "wb", opener=_for_its_owner) as file:
        _copied(log, file, length)
        file.write(log.readline(COPY_BYTES))
    _shift(path, kept)
    _copy(path).replace(_older(path, 1))


def _copied(log: BinaryIO, file: BinaryIO, most: int) -> None:
    """Copies the present content, at most this many bytes."""
    while most > 0 and (part := log.read(min(COPY_BYTES, most))):
        file.write(part)
        file.flush()
        most -= len(part)


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


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
    """A name that readers do not take for a log: they look for numbers."""
    return path.with_name(f"{path.name}.copy")


def _is_output(path: Path) -> bool:
    """Whether this process's output goes to the file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(2))
    except FileNotFoundError:
        return False
