"""Operating-system processes, identified reliably: a pid alone may be reused."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from functools import cache
from pathlib import Path

import psutil

LOOK_S = 0.01
"""Seconds between two checks of a process that is about to end."""


def _boot_and_namespace() -> str:
    """The scope of pids: this boot of this kernel, this pid namespace."""
    if sys.platform == "linux":
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    return f"boot-{psutil.boot_time():.0f}/-"


def _started(pid: int) -> str | None:
    """When the process started, in a form that never changes; None if it is gone."""
    try:
        if sys.platform == "linux":
            # Clock ticks since boot: unlike a wall-clock time, no clock change moves it.
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            state, start = fields[0], fields[19]
            return None if state in b"ZX" else start.decode()
        return f"{psutil.Process(pid).create_time():.2f}"
    except (OSError, psutil.NoSuchProcess):
        return None


@cache
def own_identity() -> str:
    """A text that identifies this process and no other process ever."""
    identity = identity_of(os.getpid())
    assert identity is not None
    return identity


def identity_of(pid: int) -> str | None:
    """A text that identifies the process that has this pid now; None if there is none."""
    start = _started(pid)
    return None if start is None else f"{_boot_and_namespace()}/{pid}/{start}"


def pid_of(identity: str) -> int | None:
    """The pid in an identity."""
    pid = identity.split("/")[2:3]
    return int(pid[0]) if pid and pid[0].isdigit() else None


def is_alive(identity: str) -> bool:
    """Whether it is certain, from here, that the process is alive."""
    pid = pid_of(identity)
    return pid is not None and identity_of(pid) == identity


async def until_gone(identity: str, within_s: float) -> bool:
    """Waits for the process to end, with a time limit; returns whether it has ended."""
    deadline = time.monotonic() + within_s
    while is_alive(identity):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_S)
    return True


def is_of_here(identity: str) -> bool:
    """Whether its pid is meaningful here: the same boot and the same container."""
    return "/".join(identity.split("/")[:2]) == _boot_and_namespace()


def is_provably_gone(identity: str) -> bool:
    """Whether it is certain, from here, that the process has ended.

    False if that can't be known: another machine, container or boot.
    """
    pid = pid_of(identity)
    return pid is not None and is_of_here(identity) and identity_of(pid) != identity


def is_stopped(identity: str) -> bool:
    """Whether it is certain, from here, that the process is frozen, as by SIGSTOP."""
    pid = pid_of(identity)
    if pid is None or not is_alive(identity):
        return False
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
