"""The address under which servers on other machines dial a worker of this one."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Container
from contextlib import suppress
from typing import Any

from django.conf import settings

DISCARD = 9
"""A port that nothing is sent to."""


def advertised(bound: str, given: tuple[str, int] | None) -> tuple[str, int]:
    """The host, and the port or 0 for the one where the worker listens.

    `bound`: the host that it listens at; `given`: what people say themselves.
    """
    if given is not None:
        return given
    families = _families_of(bound)
    return (_own_host(families) if families else bound), 0


def _families_of(bound: str) -> frozenset[int]:
    """Those of which it stands for all addresses of this machine; none if it names one."""
    with suppress(ValueError):
        address = ipaddress.ip_address(bound)
        if address.is_unspecified:
            if address.version == 4:
                return frozenset({socket.AF_INET})
            with socket.socket(socket.AF_INET6) as unchanged:
                is_alone = unchanged.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            return frozenset({socket.AF_INET6, *(() if is_alone else (socket.AF_INET,))})
    return frozenset()


def _own_host(families: Container[int]) -> str:
    """The address from which this machine reaches the database, as the servers do; else its name.

    A database on this machine tells nothing about the way to it from others.
    """
    database = settings.DATABASES["default"].get("HOST", "")
    with suppress(OSError):
        for found in socket.getaddrinfo(database or None, DISCARD, type=socket.SOCK_DGRAM):
            if found[0] not in families:
                continue
            # Others may be reachable where one is not.
            with suppress(OSError):
                own = _own_address_towards(found)
                if not ipaddress.ip_address(own.partition("%")[0]).is_loopback:
                    return own
    return socket.gethostname()


def _own_address_towards(found: tuple[Any, ...]) -> str:
    """`found`: a result of `getaddrinfo`. Raises `OSError`."""
    family, kind, _, _, address = found
    with socket.socket(family, kind) as asking:
        asking.connect(address)  # Sends nothing.
        return str(asking.getsockname()[0])
