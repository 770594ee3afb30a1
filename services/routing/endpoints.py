"""The addresses of services: each has its own path, on every server of the site.

A service's socket and its chat page have the same path. It does not depend on the service's
processes.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import quote, urlsplit

from django.db.models import Case, Value, When
from django.http import HttpRequest

from agents.models import LEASE_HOLDS, Server
from agents.runtime.base_path import address
from agents.runtime.process import is_provably_gone
from services.models import Service
from services.routing.sides import Side, side_of

HOST = re.compile(r"[\w.:\[\]-]+")


def path_of(name: str) -> str:
    """The service's path at a server of the site, as browsers ask for it."""
    return address(f"/services/{quote(name, safe='')}/")


def endpoint_of(service: Service, site: str) -> str:
    """The service's WebSocket address; empty where no server of the site is known.

    `site`: the WebSocket address of one, see `site_of` and `site_address`.
    """
    return f"{site.rstrip('/')}{path_of(service.name)}" if site else ""


def chat_of(service: Service) -> str:
    """The chat page: a path of the site, or a page elsewhere; empty if there is none."""
    if not service.is_external:
        return path_of(service.name)
    parts = urlsplit(service.url)
    # Without the name and password that an address may hold.
    host = parts.netloc.rpartition("@")[2]
    scheme = "https" if parts.scheme == "wss" else "http"
    return f"{scheme}://{host}/" if HOST.fullmatch(host) else ""


def without_secrets(url: str) -> str:
    """The address of an external service for who may only look: no value of its query is shown."""
    parts = urlsplit(url)
    entries = (entry.partition("=") for entry in parts.query.split("&") if entry)
    query = "&".join(f"{name}=…" if is_named else "…" for name, is_named, _ in entries)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()


def site_of(request: HttpRequest) -> str:
    """The site's WebSocket address, as the client of a request reached it.

    That of another server if this one has no sockets: then it is synchronous, one query.
    """
    if side_of(request) is Side.PAGES:
        return site_address()
    # The guard has checked the Host.
    return f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}/"


def site_address() -> str:
    """The same without a request: the address of the newest live server of the site.

    Servers of this machine come first. Empty if none is alive. Synchronous, one query.
    """
    alive = Server.objects.filter(LEASE_HOLDS, service="").exclude(address="")
    is_here = Case(When(host=socket.gethostname(), then=Value(1)), default=Value(0))
    nearest = alive.order_by(is_here.desc(), "-started_at").values_list("address", "process")
    # A lease outlives a server that was killed.
    living = (address for address, process in nearest if not is_provably_gone(process))
    return next(living, "")
