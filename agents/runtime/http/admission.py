"""Which connections a process takes: so many of an address, and none with its last descriptors."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from agents.runtime.limits import AddressLimit, Seldom

logger = structlog.get_logger(__name__)

RESERVE = 64
"""Descriptors that are kept for files, the database and workers; a quarter where there are few."""

UNAVAILABLE = 503
TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of what comes in. `connections`: of an address; 0 sets no limit."""

    headers_s: float = 10.0
    body_s: float = 60.0
    connections: int = 0
    trusted_proxies: Sequence[str] = ()


class Admission:
    """One a process. What waits for requests is counted apart from WebSockets.

    `most_descriptors`: the number of one from which on a connection is one too
    many; None where nobody says.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._addresses = AddressLimit()
        self.most_descriptors = _descriptors()
        self._shortages = Seldom()
        self._unusable = Seldom()

    def refusal(self, address: str | None, connection: socket.socket | None) -> int | None:
        """The status to refuse a new connection with, or None: then it has to `enter`.

        `address`: as it is `edge.counted_as`; None has no limit.
        """
        # The system gives out the lowest number that is free.
        number = -1 if connection is None else connection.fileno()
        if self.most_descriptors is not None and number >= self.most_descriptors:
            self._say_short(number)
            return UNAVAILABLE
        if address is not None and not self._addresses.has_room(address, self.bounds.connections):
            return TOO_MANY
        return None

    def enter(self, address: str) -> None:
        self._addresses.enter(address)

    def leave(self, address: str) -> None:
        self._addresses.leave(address)

    def say_unusable(self, peer: object, error: Exception) -> None:
        """Logs that somebody sent what is no request."""
        if (left_out := self._unusable.take()) is not None:
            logger.warning("request_not_understood", peer=peer, error=str(error), left_out=left_out)

    def _say_short(self, number: int) -> None:
        if (left_out := self._shortages.take()) is not None:
            logger.error(
                "out_of_descriptors", in_use=number, left_out=left_out, hint="raise ulimit -n"
            )


def _descriptors() -> int | None:
    try:
        import resource
    except ImportError:
        return None  # Not on this system.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    return limit - min(RESERVE, limit // 4)
