"""Ends all processes that agent code started, together with the worker.

A process that left its parent, its group and its session, and has an empty environment, can't be
found, unless the worker is the process to which the system gives such orphans (Linux).
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

PR_SET_CHILD_SUBREAPER = 36
ROUNDS = 200
"""Number of checks after which remaining processes are left to whoever ends the worker."""

LOOK_S = 0.01


def adopt_orphans() -> None:
    """Makes orphaned descendants children of this process instead of the system's init (Linux)."""
    if sys.platform != "linux":
        return
    try:
        failed = ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (OSError, AttributeError) as error:
        logger.info("orphans_not_adopted reason=%r", str(error))
        return
    if failed:
        logger.info("orphans_not_adopted reason=%r", os.strerror(ctypes.get_errno()))


def end_all() -> None:
    """Kills all descendants of this process. Takes a limited time; Linux only."""
    if sys.platform != "linux":
        return
    for _ in range(ROUNDS):
        # A process that is orphaned by this is our child at the next check.
        children = list(_children())
        if not children:
            return
        for pid in children:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(LOOK_S)


def _children() -> Iterator[int]:
    own = os.getpid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                # The name, in parentheses, may contain anything.
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                if int(fields[1]) == own:
                    yield int(entry.name)
