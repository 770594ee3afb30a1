"""The workers of a runner, as the process table shows them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Protocol

import psutil

from tests.crash.witness import until
from tests.runners import Runner


class Started(Protocol):
    """Who was started in a process."""

    @property
    def pid(self) -> int: ...


def workers_of(runner: Started) -> list[psutil.Process]:
    """Its worker processes that live."""
    return [child for child in psutil.Process(runner.pid).children() if _is_worker(child)]


async def worker_of(runner: Runner, *, but: int = 0) -> int:
    """The pid of its only worker, as soon as that is another than `but`."""
    found = await until(lambda: [one.pid for one in workers_of(runner) if one.pid != but])
    assert len(found) == 1, found
    return int(found[0])


async def kill_worker(runner: Runner, *, but: int = 0) -> int:
    """SIGKILL to its only worker but one; the pid."""
    pid = await worker_of(runner, but=but)
    os.kill(pid, signal.SIGKILL)
    return pid


async def until_gone(pid: int) -> None:
    """Until a process is no more, or only its parent has not noticed yet."""
    await until(lambda: not is_there(pid))


def is_there(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def deaths(runner: Runner) -> int:
    """How many of its workers have died, by what it said itself."""
    return sum("worker_ended" in line for line in runner.log)


def shared_with(runner: Runner, worker: int) -> set[str]:
    """The files, pipes and sockets that a runner and its worker both hold open."""
    return _targets(runner.pid) & _targets(worker)


def _targets(pid: int) -> set[str]:
    # An event queue has no number: those of all processes have one name.
    return {target for target in targets_of(pid).values() if not target.startswith("anon_inode")}


def targets_of(pid: int) -> dict[int, str]:
    """What each of a process's descriptors leads to."""
    return {int(link.name): os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}


def _is_worker(process: psutil.Process) -> bool:
    try:
        is_alive = process.status() != psutil.STATUS_ZOMBIE
        return is_alive and "myagent.worker" in process.cmdline()
    except psutil.NoSuchProcess:
        return False
