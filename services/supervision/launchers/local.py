"""Instances as detached child processes, each with its own process group and session.

A child has its instance's id in its environment, so that the next supervisor finds it if the
previous one died before it could store the pid.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import psutil
import structlog
from django.utils.translation import gettext_noop

from agents.runtime.process import identity_of, is_alive, is_of_here, pid_of
from services.logs.logfiles import tail
from services.supervision.launchers import LaunchFailed, LaunchSpec, Polled, Sockets
from services.supervision.launchers.family import (
    Children,
    all_children,
    descendants,
    identities,
)
from services.supervision.launchers.marks import is_marked, mark
from services.supervision.launchers.sockets import UNIX_SOCKETS

logger = structlog.get_logger(__name__)

MARKER = "MYAGENT_INSTANCE"

MEASURE_S = 2.0
"""Seconds between two measurements of a process."""

REAP_S = 0.5
"""Seconds until an ended process must be gone with all its threads."""

MEGABYTE = 1024 * 1024


class LocalLauncher:
    """A `Launcher` for this machine."""

    def __init__(self, sockets: Sockets = UNIX_SOCKETS) -> None:
        self.sockets = sockets
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._meters: dict[str, _Meter] = {}
        self._families: dict[str, set[str]] = {}
        """By instance, the identities of the descendants that it had when it was last measured."""
        self._table: Children = {}
        self._table_of = float("-inf")

    def launch(self, spec: LaunchSpec) -> Polled:
        try:
            spec.log.parent.mkdir(parents=True, exist_ok=True)
            with open(spec.log, "ab", opener=for_its_owner) as log:
                child = subprocess.Popen(
                    spec.command,
                    cwd=spec.folder,
                    env={**spec.environment, MARKER: spec.instance_id},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(*spec.inherited, *spec.handed),
                )
        except (OSError, ValueError) as error:
            # A value that no environment can hold raises the latter.
            said = getattr(error, "strerror", None) or error
            raise LaunchFailed(
                gettext_noop("The process could not be started: {reason}."), reason=said
            ) from error
        finally:
            for descriptor in spec.handed:
                os.close(descriptor)
        self._children[spec.instance_id] = child
        mark(child.pid, spec.instance_id)
        if spec.most_memory_mb is not None:
            _bound_memory(child.pid, spec.most_memory_mb)
        return Polled(identity_of(child.pid) or "", child.pid, is_alive=True)

    def poll(self, instance_id: str, handle: str) -> Polled:
        handle = handle or _search(instance_id)
        if not handle or not is_alive(handle):
            self._meters.pop(instance_id, None)
            # Reaped after it was observed, so that an unreaped child is not taken for ended.
            exit_code = self._reap(instance_id)
            return Polled(handle, pid_of(handle), is_alive=False, exit_code=exit_code)
        meter = self._meters.setdefault(instance_id, _Meter(pid_of(handle) or 0))
        if meter.is_due:
            family = descendants(meter.pid, self._parents())
            self._families[instance_id] = identities(family)
            meter.measure(family)
        return Polled(
            handle,
            meter.pid,
            is_alive=True,
            memory_mb=meter.memory_mb,
            cpu_percent=meter.cpu_percent,
        )

    def terminate(self, instance_id: str, handle: str, *, by_force: bool) -> None:
        pid = pid_of(handle)
        if by_force:
            family = self._family(instance_id, pid if is_alive(handle) else None)
            for member in {*_members(instance_id, handle), *family}:
                _signal(member, signal.SIGKILL)
        elif pid is not None and is_alive(handle):
            _signal(pid, signal.SIGTERM)

    def tidy(self) -> None:
        """Nothing is left of a process."""

    def logs(self, log: Path, lines: int) -> Sequence[str]:
        return tail(log, lines)

    def close(self) -> None:
        """It does nothing in the background."""

    def _family(self, instance_id: str, leader: int | None) -> list[int]:
        """Its live descendants, including those that left its group and session."""
        known = self._families.pop(instance_id, set())
        now = [] if leader is None else descendants(leader, all_children())
        left = (pid_of(identity) for identity in known if is_alive(identity))
        return [*now, *(pid for pid in left if pid is not None)]

    def _parents(self) -> Children:
        """The parents of all processes, read once for instances that are measured together."""
        now = time.monotonic()
        if now - self._table_of >= MEASURE_S / 2:
            self._table, self._table_of = all_children(), now
        return self._table

    def _reap(self, instance_id: str) -> int | None:
        """The exit status of a child that has ended."""
        child = self._children.get(instance_id)
        if child is None:
            return None
        try:
            # It appears ended once its first thread is; its other threads may take a moment longer.
            status = child.wait(REAP_S)
        except subprocess.TimeoutExpired:
            return None
        del self._children[instance_id]
        return status


class _Meter:
    """The memory of a process, its group and its descendants, and its own CPU.

    The pid must have been verified.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.memory_mb: float | None = None
        self.cpu_percent: float | None = None
        self._leader: psutil.Process | None = None
        self._measured_at = float("-inf")

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._measured_at >= MEASURE_S

    def measure(self, family: Iterable[int]) -> None:
        self._measured_at = time.monotonic()
        with contextlib.suppress(psutil.Error):  # It is going: the next poll says so.
            self._leader = self._leader or psutil.Process(self.pid)
            self.cpu_percent = self._leader.cpu_percent()
            members = {self.pid, *_group(self.pid), *family}
            self.memory_mb = sum(map(_resident_bytes, members)) / MEGABYTE


def _bound_memory(pid: int, most_mb: int) -> None:
    """Limits this process and each one that it starts: the system refuses them more memory."""
    if not hasattr(psutil, "RLIMIT_DATA"):
        return
    most = most_mb * MEGABYTE
    try:
        psutil.Process(pid).rlimit(psutil.RLIMIT_DATA, (most, most))
    except (psutil.Error, OSError) as error:
        logger.warning("memory_not_bounded", pid=pid, error=str(error))


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _group(leader: int) -> Iterator[int]:
    """The pids of a process group."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == leader:
                yield pid


def _members(instance_id: str, handle: str) -> Iterator[int]:
    """The process group, and processes of the instance that have left the group.

    They have its id in their environment, or its mark.
    """
    leader = pid_of(handle)
    # A group's number is not reused while it has members. So the group is the process's own if its
    # leader lives, or if no process has the number now, provided that it was launched in this
    # boot.
    is_its_own = (
        leader is not None and is_of_here(handle) and (identity_of(leader) in (None, handle))
    )
    group = set(_group(leader)) if leader is not None and is_its_own else set()
    for pid in psutil.pids():
        if pid != os.getpid() and (
            pid in group or _carries(pid, instance_id) or is_marked(pid, instance_id)
        ):
            yield pid


def _search(instance_id: str) -> str:
    """The identity of the process launched under the id; of several, the leader."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == pid and _carries(pid, instance_id):
                return identity_of(pid) or ""
    return ""


def _carries(pid: int, instance_id: str) -> bool:
    try:
        return psutil.Process(pid).environ().get(MARKER) == instance_id
    except (psutil.Error, OSError):
        return False


def for_its_owner(path: str, flags: int) -> int:
    """Logs of agents are private: no other user of the machine may read them."""
    return os.open(path, flags, 0o600)


def _signal(pid: int, number: signal.Signals) -> None:
    if pid <= 0:
        # The system would take it for a whole group: ours, or all processes.
        raise ValueError(f"{pid} is no process.")
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        # The program now runs as another user.
        logger.warning("process_not_ours", pid=pid)
