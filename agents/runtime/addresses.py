"""Hosts that servers listen on: how they are reached, whether two are in each other's way. No I/O.

Names are not looked up.
"""

from __future__ import annotations

from ipaddress import ip_address

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def address_of(host: str, port: int) -> str:
    """The WebSocket address for clients of what listens there."""
    reached = "localhost" if is_everywhere(host) else host
    return f"ws://{f'[{reached}]' if ':' in reached else reached}:{port}/"


def is_everywhere(host: str) -> bool:
    """Whether it stands for every address that the machine has."""
    return not _addresses(host)


def overlap(one: str, other: str) -> bool:
    """Whether one port can't be listened on at both.

    Two names are different, whatever they stand for.
    """
    first, second = _addresses(one), _addresses(other)
    return not first or not second or bool(first & second)


def _addresses(host: str) -> frozenset[str]:
    """The addresses, or names, that a host is; empty for every address there is."""
    if not host:
        return frozenset()
    if host.lower() == "localhost":
        return LOOPBACK
    try:
        address = ip_address(host)
    except ValueError:
        return frozenset({host.lower()})
    return frozenset() if address.is_unspecified else frozenset({str(address)})
