"""Launchers, which start instances somewhere: an interface of five calls, and where they listen.

A launcher has no state that must survive: what was launched is in the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from services.errors import ServiceError


class LaunchFailed(ServiceError):
    """Nothing was started."""

    def __init__(self, template: str, **values: Any) -> None:
        super().__init__("not_launched", template, **values)


class LaunchPostponed(Exception):
    """Nothing was started, for a reason that is not the service's: it is tried again."""


class ConfigurationRefused(LaunchFailed):
    """Something that people wrote is wrong: another attempt would fail in the same way."""


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What to start, and where to write its output. The environment is complete.

    `inherited`: file descriptors that it gets under the same numbers; `handed`: further ones, which
    the launcher closes here afterwards, whether it started something or not. `address`: see
    `Place`. `most_memory_mb`: the maximum memory of it, and of each process that it starts.
    `tags` and `memory_limit_mb` are the service's: a launcher with several machines chooses by
    them.
    """

    instance_id: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    inherited: Sequence[int] = ()
    handed: Sequence[int] = ()
    address: str = ""
    most_memory_mb: int | None = None
    tags: Sequence[str] = ()
    memory_limit_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Polled:
    """What can be observed of an instance. `exit_code` is None if it can't be known.

    `handle` names its process; empty if none was ever found. `address`: where it listens, see
    `Instance`; empty if the launcher has nothing to add to what its `Place` said.
    """

    handle: str
    pid: int | None
    is_alive: bool
    exit_code: int | None = None
    memory_mb: float | None = None
    cpu_percent: float | None = None
    address: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker is to listen, and what it is given for that.

    `options`: of its command line. `environment`: variables to add. `handed`: see `LaunchSpec`.
    `address`: where servers elsewhere dial it, see `Instance`.
    """

    options: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    handed: Sequence[int] = ()
    address: str = ""


class Sockets(Protocol):
    """Decides where workers listen.

    `is_local`: they have a Unix socket, and a file for their failures, in this machine's folder.
    """

    @property
    def is_local(self) -> bool: ...

    def place(self, instance_id: str) -> Place:
        """Raises `LaunchFailed`."""


class Launcher(Protocol):
    """Synchronous, called by one thread. `sockets`: where what it launches listens."""

    @property
    def sockets(self) -> Sockets: ...

    def launch(self, spec: LaunchSpec) -> Polled:
        """Starts it, detached: it outlives the caller.

        Raises `LaunchFailed` and `LaunchPostponed`.
        """

    def poll(self, instance_id: str, handle: str) -> Polled:
        """Observes it. With an empty handle it searches for what was launched under the id."""

    def terminate(self, instance_id: str, handle: str, *, by_force: bool) -> None:
        """Asks it to end; with force, kills it and everything that it started.

        Where `sockets` are not local, the supervisor asks over its link as well.
        """

    def tidy(self) -> None:
        """Removes, a little in each pass, what is left of instances that have ended.

        Raises `django.db.Error`.
        """

    def logs(self, log: Path, lines: int) -> Sequence[str]:
        """The last lines of its output."""

    def close(self) -> None:
        """Ends what it does in the background; the instances go on. It may be used again."""
