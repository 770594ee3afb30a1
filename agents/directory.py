"""Which services a server carries conversations of: a seam that who knows the services fills."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Listed:
    """A service, as a server has to know it.

    `is_expected`: it has a worker or is about to get one, so that runs may wait
    for it. `max_sessions`: 0 for no limit of its own. `session_timeout_s`: after
    which its idle sessions leave memory; None for the site's.
    """

    name: str
    is_expected: bool = True
    max_sessions: int = 0
    session_timeout_s: float | None = None


class Directory(Protocol):
    """A snapshot: but for `refresh` its methods return at once. Called on the event loop."""

    def find(self, service: str) -> Listed | None:
        """None: there is no such service here."""

    def default(self) -> str | None:
        """The service that is meant where none is named: the only one that runs."""

    def names(self) -> Sequence[str]:
        """The services whose conversations this server may carry."""

    def unhealthy(self) -> Collection[str]:
        """The services of which a process was found unhealthy, by whoever checks them."""

    async def refresh(self) -> None:
        """Looks whether that has changed, for somebody who would be refused otherwise.

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

    async def refresh(self) -> None:
        """Nothing ever changes."""
