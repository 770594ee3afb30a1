"""Services' own ports: each belongs to one service, or another program occupies it. Synchronous."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import psutil
from django.db import connection
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from agents.models import LEASE_HOLDS, Server
from agents.runtime import addresses
from agents.runtime.listening import IN_USE
from agents.runtime.process import is_provably_gone, pid_of
from myagent.sentence import Said
from services.errors import Conflict
from services.models import PortClaim, Service
from services.telling import kept

KEPT_S = 5.0
"""Seconds for which a look at a port is valid at most: it lists the sockets of all processes."""

MOST_KEPT = 256
"""Ports whose looks are kept."""


def claim(name: str, host: str, port: int | None, *, of: Collection[str] | None = None) -> None:
    """Reserves the port for the service until the transaction ends; its row must then contain it.

    A concurrent claim of the same port waits. `of`: only services with this desired state conflict.
    Raises `Conflict`.
    """
    if port is None:
        return
    _lock(port)
    _refuse_that_of_a_service(name, host, port, of)
    _refuse_that_of_a_server(host, port)


def trouble(service: Service) -> str:
    """Reports a program outside the site that has the service's port on this machine.

    In the stored form of `services.telling`; empty if there is none, if that can't be known, or if
    the service's server is on another machine. It is reported here before a server has tried to
    open the port and failed; it may be up to `KEPT_S` old.
    """
    if service.port is None or service.is_external:
        return ""
    servers = list(Server.objects.filter(LEASE_HOLDS, service=""))
    here = [server for server in servers if server.host == socket.gethostname()]
    if servers and not here:
        return ""
    ours = frozenset(pid_of(server.process) for server in here)
    if not _is_a_strangers(service.host, service.port, ours, int(time.monotonic() / KEPT_S)):
        return ""
    return kept(Said(IN_USE, {"port": service.port, "host": service.host}))


def _lock(port: int) -> None:
    """SQLite has one writer, so its transaction is a sufficient lock."""
    if connection.vendor != "sqlite":
        # Written in one statement: locking a row that another transaction may be inserting would
        # deadlock.
        PortClaim.objects.bulk_create(
            [PortClaim(port=port, claimed_at=Now())],
            update_conflicts=True,
            update_fields=["claimed_at"],
        )


def _refuse_that_of_a_service(
    name: str, host: str, port: int, desires: Collection[str] | None
) -> None:
    """Refuses a port that another service has: two with the same port would fail in turns."""
    # By name: a client that registers an existing name gets that error instead.
    others = Service.objects.filter(port=port, url="").exclude(name=name)
    if desires is not None:
        others = others.filter(desired__in=desires)
    for other in others.order_by("name"):
        if addresses.overlap(host, other.host):
            raise Conflict(
                "port_taken",
                gettext_noop("The service '{name}' has port {port} already; choose another port."),
                field="port",
                name=other.name,
                port=port,
            )


def _refuse_that_of_a_server(host: str, port: int) -> None:
    for server in Server.objects.filter(LEASE_HOLDS, port=port):
        if _is_in_the_way(server, host):
            raise Conflict(
                "port_taken",
                gettext_noop("A server of the site has port {port} already; choose another port."),
                field="port",
                port=port,
            )


def _is_in_the_way(server: Server, host: str) -> bool:
    # A server that listens on all addresses reports 'localhost', too.
    named = urlsplit(server.address).hostname or ""
    may_be_everywhere = named in ("", "localhost")
    return (may_be_everywhere or addresses.overlap(host, named)) and not is_provably_gone(
        server.process
    )


@lru_cache(MOST_KEPT)
def _is_a_strangers(host: str, port: int, ours: frozenset[int | None], period: int) -> bool:
    """Whether somebody other than these processes listens there; kept for the period.

    False if it can't be known: the owner of another user's socket is not visible.
    """
    if not _is_in_use(host, port):
        return False
    return not ours or not (ours | {None}) & _listeners(port)


def _is_in_use(host: str, port: int) -> bool:
    """Whether somebody listens there; the server will report other problems with the address.

    Names are not checked: resolving one may take long. Nothing listens on the port meanwhile, so
    that no client reaches it and no server finds it in use.
    """
    host = {"localhost": "127.0.0.1"}.get(host.lower(), host)
    try:
        family = socket.AF_INET6 if host and ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        return False
    try:
        with socket.socket(family) as probe:
            if os.name == "posix":
                # Connections that have ended do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _listeners(port: int) -> set[int | None]:
    """The processes that listen on the port; None stands for those that are not visible."""
    try:
        sockets = psutil.net_connections("tcp")
    except psutil.Error:
        return {None}
    return {
        each.pid
        for each in sockets
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
    }
