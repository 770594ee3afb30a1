"""A mark of an instance that all its descendants inherit, in any environment and session.

Linux lets every process inherit its limits, also one that it does not enforce, on file locks: its
value names the instance. On other systems nothing is marked.
"""

from __future__ import annotations

import hashlib

import psutil
import structlog

logger = structlog.get_logger(__name__)

UNUSED_LIMIT: int | None = getattr(psutil, "RLIMIT_LOCKS", None)
"""Without effect since Linux 2.4.25; unlimited unless it is marked."""

MARK_BYTES = 6
"""So long a number is no other instance's, and fits into signed 64 bits."""


def mark(pid: int, instance_id: str) -> None:
    """Marks the process and those that it starts from now on."""
    _set(pid, _mark_of(instance_id))


def unmark(pid: int) -> None:
    """Takes away an inherited mark: the process and those that it starts belong to no instance."""
    _set(pid, None)


def is_marked(pid: int, instance_id: str) -> bool:
    if UNUSED_LIMIT is None:
        return False
    try:
        return psutil.Process(pid).rlimit(UNUSED_LIMIT)[0] == _mark_of(instance_id)
    except (psutil.Error, OSError):
        return False


def _set(pid: int, value: int | None) -> None:
    if UNUSED_LIMIT is None:
        return
    try:
        process = psutil.Process(pid)
        _, hard = process.rlimit(UNUSED_LIMIT)
        process.rlimit(UNUSED_LIMIT, (hard if value is None else value, hard))
    except (psutil.Error, OSError, ValueError) as error:
        # Where it is forbidden, descendants are found by the other ways alone.
        logger.info("process_not_marked", pid=pid, error=str(error))


def _mark_of(instance_id: str) -> int:
    digest = hashlib.sha256(instance_id.encode()).digest()
    return int.from_bytes(digest[:MARK_BYTES])
