"""Limits a process's connections: so many per address, and a reserve of descriptors."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from agents.runtime.limits import AddressLimit, Seldom

logger = structlog.get_logger(__name__)

UNAVAILABLE = 503
TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of incoming connections. `connections`: per address; 0 sets no limit."""

    headers_s: float = 10.0
    body_s: float = 60.0
    connections: int = 0
    trusted_proxies: Sequence[str] = ()


class Admission:
    """The connection counts of one process. HTTP connections and WebSockets count separately.

    `most_descriptors`: connections whose descriptor has this number or a higher one are refused;
    None sets no limit.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._addresses = AddressLimit()
        self.most_descriptors = _descriptors()
        self._shortages = Seldom()
        self._unusable = Seldom()

    def refusal(self, address: str | None, connection: socket.socket | None) -> int | None:
        """The status with which to refuse a new connection; None admits it: then call `enter`.

        `address`: as returned by `edge.counted_as`; None has no limit.
        """
        # The system always assigns the lowest free number.
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
        """Logs data that is not a request."""
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
        return None  # Not available on this system.
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    return limit - reserve_of(limit)


def reserve_of(limit: int) -> int:
    """How many of a process's descriptors are kept for files, the database and workers."""
    return min(64, limit // 4)
