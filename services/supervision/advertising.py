"""The address under which servers on other machines dial a worker of this one."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress

from django.conf import settings

DISCARD = 9
"""A port that nothing is sent to."""


def advertised(bound: str, given: tuple[str, int] | None) -> tuple[str, int]:
    """The host, and the port or 0 for the one where the worker listens.

    `bound`: the host that it listens at; `given`: what people say themselves.
    """
    if given is not None:
        return given
    return (_own_host() if _is_any(bound) else bound), 0


def _is_any(host: str) -> bool:
    """Whether it stands for all addresses of this machine."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return False


def _own_host() -> str:
    """The address from which this machine reaches the database, as the servers do; else its name.

    A database on this machine tells nothing about the way to it from others.
    """
    database = settings.DATABASES["default"].get("HOST", "")
    with suppress(OSError):
        for family, kind, _, _, address in socket.getaddrinfo(
            database or None, DISCARD, type=socket.SOCK_DGRAM
        ):
            with socket.socket(family, kind) as asking:
                asking.connect(address)  # Sends nothing.
                own = str(asking.getsockname()[0])
            if not ipaddress.ip_address(own.partition("%")[0]).is_loopback:
                return own
    return socket.gethostname()
