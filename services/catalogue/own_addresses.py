"""Addresses that lead back to the site itself: no external service can be there."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.utils.translation import gettext_noop

from agents.models import LEASE_HOLDS, Server
from agents.runtime.addresses import overlap
from services.errors import ServiceError

PORTS = {"ws": 80, "wss": 443}


def refuse_own(url: str) -> None:
    """Refuses the address of a live server of the site. `url`: a valid one. Synchronous.

    What it can't see, such as another name of the machine, is found out when a client is passed on
    (see `agents.sockets.external.upstream`).
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    alive = Server.objects.filter(LEASE_HOLDS, service="").exclude(address="")
    for machine, address in alive.values_list("host", "address"):
        own = urlsplit(address)
        if own.port == port and (host == machine.lower() or overlap(host, own.hostname or "")):
            raise ServiceError(
                "invalid",
                gettext_noop("That is the address of this site itself."),
                field="url",
            )
