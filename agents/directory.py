"""The services whose sessions a server holds: an interface, implemented by what knows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Listed:
    """What a server needs to know about a service.

    `is_expected`: it has a worker or is about to get one, so runs may wait for it. `max_sessions`:
    0 means that it has no limit of its own. `session_timeout_s`: seconds after which its idle
    sessions leave memory; None for the site's setting. `url`: the address of an external
    service, of which no session is held here; else empty.
    """

    name: str
    is_expected: bool = True
    max_sessions: int = 0
    session_timeout_s: float | None = None
    url: str = ""


class Directory(Protocol):
    """A snapshot: every method except `refresh` returns at once. Called on the event loop."""

    def find(self, service: str) -> Listed | None:
        """None: there is no such service here."""

    def default(self) -> str | None:
        """The service that is meant where none is named: the only one that runs."""

    def names(self) -> Sequence[str]:
        """The services whose conversations this server may carry: no external ones."""

    def unhealthy(self) -> Collection[str]:
        """The services with a process that a check found unhealthy."""

    def is_supervised(self) -> bool | None:
        """Whether somebody starts and checks the services; None: not known yet."""

    async def refresh(self) -> None:
        """Reads the services again, before a client is refused.

        Raises `django.db.Error`.
        """


class SingleService:
    """The directory of a server with one agent file."""

    def __init__(self, service: str) -> None:
        self._listed = Listed(service)

    def find(self, service: str) -> Listed | None:
        return self._listed if service == self._listed.name else None

    def default(self) -> str | None:
        return self._listed.name

    def names(self) -> Sequence[str]:
        return [self._listed.name]

    def unhealthy(self) -> Collection[str]:
        return ()

    def is_supervised(self) -> bool:
        return True

    async def refresh(self) -> None:
        """Nothing ever changes."""
