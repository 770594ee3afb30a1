"""Where services are reached: each at its own path, at every server of the site.

The same path is its socket's and its chat page's. It stays whatever becomes of
the service's processes.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import quote, urlsplit

from django.db.models import Case, Value, When
from django.http import HttpRequest

from agents.models import LEASE_HOLDS, Server
from agents.runtime.process import is_provably_gone
from services.models import Service

HOST = re.compile(r"[\w.:\[\]-]+")


def path_of(name: str) -> str:
    """The service's path at a server of the site."""
    return f"/services/{quote(name, safe='')}/"


def endpoint_of(service: Service, site: str) -> str:
    """The service's WebSocket address; empty where no server of the site is known.

    `site`: the WebSocket address of one, see `site_of` and `site_address`.
    """
    if service.is_external:
        return service.url
    return f"{site.rstrip('/')}{path_of(service.name)}" if site else ""


def chat_of(service: Service) -> str:
    """Where people talk to it: a path of the site, or a page elsewhere; empty if there is none."""
    if not service.is_external:
        return path_of(service.name)
    parts = urlsplit(service.url)
    # Without the name and password that an address may hold.
    host = parts.netloc.rpartition("@")[2]
    scheme = "https" if parts.scheme == "wss" else "http"
    return f"{scheme}://{host}/" if HOST.fullmatch(host) else ""


def site_of(request: HttpRequest) -> str:
    """The site's WebSocket address, as whoever asks has found it."""
    # The Host has passed the guard.
    return f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}/"


def site_address() -> str:
    """The same for who does not ask over HTTP: that of the newest server of the site that lives.

    One of this machine goes first. Empty where none lives. Synchronous, one query.
    """
    alive = Server.objects.filter(LEASE_HOLDS, service="").exclude(address="")
    is_here = Case(When(host=socket.gethostname(), then=Value(1)), default=Value(0))
    nearest = alive.order_by(is_here.desc(), "-started_at").values_list("address", "process")
    # A lease outlives a server that was killed.
    living = (address for address, process in nearest if not is_provably_gone(process))
    return next(living, "")
