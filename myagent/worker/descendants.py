"""What agent code starts ends with the worker, wherever it went.

A child that leaves its parent, its group and its session, and whose environment is empty, is
found by nobody: unless the worker is the one to which the system gives such orphans (Linux).
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
"""Looks after which what does not end is left to who ends the worker."""

LOOK_S = 0.01


def adopt_orphans() -> None:
    """From now on what loses its parent becomes a child of this process, and not of the system."""
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
    """Kills all that this process started, and what that started. Bounded; Linux alone."""
    if sys.platform != "linux":
        return
    for _ in range(ROUNDS):
        # What loses its parent by this is a child of ours at the next look.
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
                # The name, in parentheses, may hold anything.
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                if int(fields[1]) == own:
                    yield int(entry.name)
