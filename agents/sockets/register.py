"""The register of open connections: who is connected to which server. Synchronous.

Each server writes its own rows, in batches (see `agents.sockets.presence`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Count, QuerySet
from django.db.models.constants import OnConflict
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


class Fresh(NamedTuple):
    """A new connection: the columns of its row, as in the model."""

    id: str
    server_id: str
    service: str
    path: str
    address: str
    user_agent: str
    principal: str
    opened_at: datetime


def write(fresh: Sequence[Fresh], placed: Mapping[str, str], gone: Iterable[str]) -> None:
    """Adds rows, sets the services of others, and removes those of closed connections."""
    with transaction.atomic():
        if fresh:
            _insert(fresh)
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


def _insert(fresh: Sequence[Fresh]) -> None:
    """In plain SQL, which costs a fifth of the ORM's bulk call: every connection passes here."""
    columns = [*Fresh._fields, "is_to_close"]
    # What a commit of unknown outcome may have added is skipped.
    start = connection.ops.insert_statement(on_conflict=OnConflict.IGNORE)
    marks = ",".join("%s" for _ in columns)
    sql = f"{start} {Connection._meta.db_table} ({','.join(columns)}) VALUES ({marks})"
    # Once for each moment: it takes as long as the rest of a row.
    moments = {row.opened_at for row in fresh}
    adapted = {moment: connection.ops.adapt_datetimefield_value(moment) for moment in moments}
    with connection.cursor() as cursor:
        cursor.executemany(sql, [(*row[:-1], adapted[row.opened_at], False) for row in fresh])


def _parts_of(ids: Iterable[str]) -> Iterable[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, AT_ONCE)):
        yield some
