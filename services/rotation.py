"""A runner's own log, rotated by itself: nothing that it writes meanwhile is lost."""

from __future__ import annotations

import os
from pathlib import Path


def rotate_if_large(path: Path, max_bytes: int, kept: int) -> bool:
    """Gives this process's output a new file when the old one is full; whether it did.

    The old one becomes `.log.1`, that one `.log.2`, up to `kept`. What is
    written meanwhile goes to the old file or the new. Raises `OSError`.
    """
    if os.fstat(2).st_size < max_bytes or not _is_output(path):
        return False
    for number in range(kept, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if newer.exists():
            newer.replace(older)
    if not kept:
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
    finally:
        os.close(descriptor)
    return True


def _is_output(path: Path) -> bool:
    """Whether the file is where this process's output goes."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(2))
    except FileNotFoundError:
        return False
