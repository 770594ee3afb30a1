"""The services whose sessions a server holds: an interface, implemented by what knows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


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


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a client that wants a new session.

    `user`: its principal's name, '' for nobody. Header names are in lower case; of repeated headers
    the first counts. `metadata`: what it sent with its request, any JSON object.
    """

    client_ip: str = ""
    user_agent: str = ""
    path: str = ""
    user: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """A service for a client. `affinity`: a key that chooses one of its workers too, or ''."""

    service: str
    affinity: str = ""


class Directory(Protocol):
    """A snapshot: every method except `refresh` returns at once. Called on the event loop."""

    def find(self, service: str) -> Listed | None:
        """None: there is no such service here."""

    def choose(self, facts: Facts, *, without: Collection[str] = ()) -> Choice | None:
        """The service for a client that named none; None: it has to name one of `choices`.

        `without`: services that can't take it, for example because they are full. Each call counts
        as a new session.
        """

    def choices(self) -> Sequence[str]:
        """The services that a client can name: those that run or are about to."""

    def names(self) -> Sequence[str]:
        """The services whose conversations this server may carry: no external ones."""

    def external(self) -> Sequence[str]:
        """The external services."""

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

    def choose(self, facts: Facts, *, without: Collection[str] = ()) -> Choice | None:
        return None if self._listed.name in without else Choice(self._listed.name)

    def choices(self) -> Sequence[str]:
        return self.names()

    def names(self) -> Sequence[str]:
        return [self._listed.name]

    def external(self) -> Sequence[str]:
        return ()

    def unhealthy(self) -> Collection[str]:
        return ()

    def is_supervised(self) -> bool:
        return True

    async def refresh(self) -> None:
        """Nothing ever changes."""
