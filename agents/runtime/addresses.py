"""Hosts that servers listen on: how clients reach them, and which conflict. No I/O.

Names are not resolved.
"""

from __future__ import annotations

from ipaddress import ip_address

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def address_of(host: str, port: int) -> str:
    """The WebSocket address at which clients reach a server that listens there."""
    reached = "localhost" if is_everywhere(host) else host
    return f"ws://{f'[{reached}]' if ':' in reached else reached}:{port}/"


def is_everywhere(host: str) -> bool:
    """Whether the host stands for all addresses of the machine."""
    return not _addresses(host)


def overlap(one: str, other: str) -> bool:
    """Whether the two can't be listened on at the same port.

    Two different names never conflict, whatever they resolve to.
    """
    first, second = _addresses(one), _addresses(other)
    return not first or not second or bool(first & second)


def _addresses(host: str) -> frozenset[str]:
    """The addresses or names that a host stands for; empty for all addresses."""
    if not host:
        return frozenset()
    if host.lower() == "localhost":
        return LOOPBACK
    try:
        address = ip_address(host)
    except ValueError:
        return frozenset({host.lower()})
    return frozenset() if address.is_unspecified else frozenset({str(address)})
