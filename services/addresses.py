"""Hosts that services listen on: whether two of them are in each other's way. No I/O."""

from __future__ import annotations

from ipaddress import ip_address

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def overlap(one: str, other: str) -> bool:
    """Whether one port can't be listened on at both.

    Names are not looked up: two of them are different, whatever they stand for.
    """
    first, second = _addresses(one), _addresses(other)
    return not first or not second or bool(first & second)


def _addresses(host: str) -> frozenset[str]:
    """The addresses, or names, that a host is; empty for every address there is."""
    if host.lower() == "localhost":
        return LOOPBACK
    try:
        address = ip_address(host)
    except ValueError:
        return frozenset({host.lower()})
    return frozenset() if address.is_unspecified else frozenset({str(address)})
