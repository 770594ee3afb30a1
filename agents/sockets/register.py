"""The register of open connections: who is connected to which server. Synchronous.

Each server writes its own rows, in batches (see `agents.sockets.presence`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice

from django.db import transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Now

from agents.models import Connection
from agents.runtime import bell

BELL = "connections"
"""See `agents.runtime.bell`."""

AT_ONCE = 500
"""Rows in one statement."""


def alive() -> QuerySet[Connection]:
    """The connections of the servers that are alive, by the database's clock."""
    return Connection.objects.filter(server__ended_at__isnull=True, server__lease_until__gt=Now())


def count_by_service() -> dict[tuple[str, str], int]:
    """The number of connections of each service at each server: by service and id of the server.

    The service '' stands for clients that have not named one yet. One query.
    """
    counted = alive().order_by().values_list("service", "server_id").annotate(count=Count("pk"))
    return {(service, server_id): count for service, server_id, count in counted}


def ask_to_close(connection_id: str) -> bool:
    """Asks its server to close it, which takes a second at most. False: there is no such one."""
    if not alive().filter(pk=connection_id).exists():
        return False
    Connection.objects.filter(pk=connection_id).update(is_to_close=True)
    bell.ring(BELL)
    return True


# For the server that the connections belong to.


def write(fresh: Iterable[Connection], placed: Mapping[str, str], gone: Iterable[str]) -> None:
    """Adds rows, sets the services of others, and removes those of closed connections."""
    with transaction.atomic():
        # What a commit of unknown outcome may have added is skipped.
        Connection.objects.bulk_create(fresh, batch_size=AT_ONCE, ignore_conflicts=True)
        by_service: dict[str, list[str]] = {}
        for connection_id, service in placed.items():
            by_service.setdefault(service, []).append(connection_id)
        for service, ids in by_service.items():
            for some in _parts_of(ids):
                Connection.objects.filter(pk__in=some).update(service=service)
        for some in _parts_of(gone):
            Connection.objects.filter(pk__in=some).delete()


def to_close(server_id: str) -> Collection[str]:
    """The server's connections that somebody wants closed."""
    asked = Connection.objects.filter(server_id=server_id, is_to_close=True)
    return list(asked.values_list("pk", flat=True)[:AT_ONCE])


def forget(server_id: str) -> None:
    """Removes all rows of a server."""
    Connection.objects.filter(server_id=server_id).delete()


def _parts_of(ids: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, AT_ONCE)):
        yield some
