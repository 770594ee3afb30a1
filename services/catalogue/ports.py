"""Services' own ports: each belongs to one of them, and to no other program. Synchronous."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

import psutil
from django.db import connection
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from agents.models import LEASE_HOLDS, Server
from agents.runtime import addresses
from agents.runtime.process import is_provably_gone, pid_of
from services.errors import Conflict
from services.models import PortClaim, Service


def claim(name: str, host: str, port: int | None, *, of: Collection[str] | None = None) -> None:
    """Makes the port that of the service until the transaction ends; then its row must say so.

    Whoever claims the same port meanwhile waits. `of`: only services with these wishes are in
    the way. Raises `Conflict`.
    """
    if port is None:
        return
    _lock(port)
    _refuse_that_of_a_service(name, host, port, of)
    _refuse_that_of_a_server(host, port)
    _refuse_that_of_a_stranger(host, port)


def _lock(port: int) -> None:
    """SQLite has one writer: its transaction is lock enough."""
    if connection.vendor != "sqlite":
        # Written in one statement: to lock what another may be inserting is a deadlock.
        PortClaim.objects.bulk_create(
            [PortClaim(port=port, claimed_at=Now())],
            update_conflicts=True,
            update_fields=["claimed_at"],
        )


def _refuse_that_of_a_service(
    name: str, host: str, port: int, desires: Collection[str] | None
) -> None:
    """Two that pin one port would take turns in failing."""
    # By the name: who takes one that is there already hears of that.
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
    # What listens everywhere says 'localhost', too.
    named = urlsplit(server.address).hostname or ""
    may_be_everywhere = named in ("", "localhost")
    return (may_be_everywhere or addresses.overlap(host, named)) and not is_provably_gone(
        server.process
    )


def _refuse_that_of_a_stranger(host: str, port: int) -> None:
    """A program that the site does not know of, on the machine where the port would be opened."""
    servers = list(Server.objects.filter(LEASE_HOLDS, service=""))
    here = [server for server in servers if server.host == socket.gethostname()]
    if (servers and not here) or not _is_in_use(host, port):
        return
    ours = {pid_of(server.process) for server in here}
    if not ours & _listeners(port):
        raise Conflict(
            "port_taken",
            gettext_noop("Another program has port {port} on {host}; choose another port."),
            field="port",
            port=port,
            host=host,
        )


def _is_in_use(host: str, port: int) -> bool:
    """Whether somebody listens there; what else is wrong with an address, its server will say.

    So it does of a name: to look one up may take long.
    """
    host = {"localhost": "127.0.0.1"}.get(host.lower(), host)
    try:
        family = socket.AF_INET6 if host and ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        return False
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _listeners(port: int) -> set[int | None]:
    """The processes that listen at the port, as far as they can be seen."""
    try:
        sockets = psutil.net_connections("tcp")
    except psutil.Error:
        return set()
    return {
        each.pid
        for each in sockets
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
    }
