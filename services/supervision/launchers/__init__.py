"""Launchers, which start instances somewhere: an interface of four calls.

A launcher has no state that must survive: what was launched is in the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.errors import ServiceError


class LaunchFailed(ServiceError):
    """Nothing was started."""

    def __init__(self, template: str, **values: Any) -> None:
        super().__init__("not_launched", template, **values)


class ConfigurationRefused(LaunchFailed):
    """Something that people wrote is wrong: another attempt would fail in the same way."""


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What to start, and where to write its output. The environment is complete.

    `inherited`: file descriptors that it gets under the same numbers. `most_memory_mb`: the maximum
    memory of it, and of each process that it starts.
    """

    instance_id: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    inherited: Sequence[int] = ()
    most_memory_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Polled:
    """What can be observed of an instance. `exit_code` is None if it can't be known.

    `handle` names its process; empty if none was ever found.
    """

    handle: str
    pid: int | None
    is_alive: bool
    exit_code: int | None = None
    memory_mb: float | None = None
    cpu_percent: float | None = None


class Launcher(Protocol):
    """Synchronous, called by one thread."""

    def launch(self, spec: LaunchSpec) -> Polled:
        """Starts it, detached: it outlives the caller. Raises `LaunchFailed`."""

    def poll(self, instance_id: str, handle: str) -> Polled:
        """Observes it. With an empty handle it searches for what was launched under the id."""

    def terminate(self, instance_id: str, handle: str, *, by_force: bool) -> None:
        """Asks it to end; with force, kills it and everything that it started."""

    def logs(self, log: Path, lines: int) -> Sequence[str]:
        """The last lines of its output."""
