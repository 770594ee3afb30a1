"""The leases of servers.

All of it by conditional updates and the database's clock. Synchronous.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, Q, QuerySet
from django.db.models.functions import Coalesce, Least, Now

from agents.models import LEASE_HOLDS, Connection, Server, Session
from agents.runtime.process import is_provably_gone

WAS_GIVEN_UP = Q(lease_until__lte=F("ended_at"))
"""Servers that others declared dead. One that leaves by itself does so before its lease is over."""

LEFT_BEFORE = timedelta(seconds=1)
"""How long before the end of its lease a server that leaves by itself has left: it only has to be
above zero.
"""


class NameTaken(Exception):
    """Another agent file is served under the service's name. `source` is its path."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.source = source


class Renewal(Enum):
    """What a renewal found of the lease."""

    HELD = auto()
    LAPSED = auto()
    """The lease had expired without anybody noticing; it is valid again."""
    LATE = auto()
    """The lease was valid, but a renewal had been missed."""
    ENDED = auto()
    """Somebody declared the server dead."""


def register(server: Server, lease_s: float) -> None:
    """Writes the server's row, with its lease."""
    server.started_at = Now()
    server.lease_until = server.judges_from = Now() + timedelta(seconds=lease_s)
    server.save(force_insert=True)


def refuse_another_file(service: str, source: str) -> None:
    """Ensures that a name stands for one agent file: its servers continue each other's runs.

    Raises `NameTaken` if another file is served under the name on this machine.
    """
    others = Server.objects.filter(LEASE_HOLDS, service=service, host=socket.gethostname()).exclude(
        source__in=("", source)
    )
    for other in others:
        if not is_provably_gone(other.process):
            raise NameTaken(other.source)


def renew(server_id: str, lease_s: float, report: dict[str, Any]) -> Renewal:
    """Prolongs the lease, unless it was ended."""
    own = Server.objects.filter(pk=server_id, ended_at__isnull=True)
    until = Now() + timedelta(seconds=lease_s)
    # If the clock was set back, it would wait for longer than a lease period.
    judges_from = Least("judges_from", until)
    if own.filter(_is_on_time(lease_s)).update(
        lease_until=until, judges_from=judges_from, report=report
    ):
        return Renewal.HELD
    anew = {"lease_until": until, "judges_from": until, "report": report}
    if own.filter(LEASE_HOLDS).update(**anew):
        return Renewal.LATE
    return Renewal.LAPSED if own.update(**anew) else Renewal.ENDED


def judging(server_id: str) -> QuerySet[Server]:
    """The server's row, if it may consider another one with an expired lease dead; else nothing.

    Not for one lease period after it has begun or missed a renewal, nor before it has made up for
    that: what kept it from renewing (an outage, a suspended machine, a changed clock) may have kept
    the others from it, whose leases end earlier or later than its own, and within that period the
    live ones renew theirs. The database alone decides, in the statement that looks at the other:
    between two an outage may lie.
    """
    return Server.objects.filter(
        _is_on_time(settings.MYAGENT_LEASE_S),
        pk=server_id,
        ended_at__isnull=True,
        judges_from__lte=Now(),
    )


def _is_on_time(lease_s: float) -> Q:
    """Whether no renewal was missed: they are due in the first third of a lease, at the latest."""
    return Q(lease_until__gt=Now() + timedelta(seconds=lease_s / 2))


def end(server_id: str) -> None:
    """Declares a server dead: its sessions are free from now on, and its sockets are gone."""
    Connection.objects.filter(server_id=server_id).delete()
    Server.objects.filter(pk=server_id, ended_at__isnull=True).update(
        ended_at=Now(), lease_until=Now()
    )


def retire(server_id: str) -> None:
    """Releases the server's sessions and its lease on an orderly shutdown."""
    Session.objects.filter(owner_id=server_id).update(owner=None)
    Connection.objects.filter(server_id=server_id).delete()
    note_left(Server.objects.filter(pk=server_id))


def note_left(rows: QuerySet[Server]) -> None:
    """Ends leases without giving the servers up; one that was given up has left after all."""
    rows.update(ended_at=Coalesce("ended_at", Now()), lease_until=Now() + LEFT_BEFORE)


def end_gone_servers(own_id: str = "") -> None:
    """Ends the leases of other servers whose process is provably gone."""
    others = Server.objects.filter(ended_at__isnull=True).exclude(pk=own_id)
    for server_id in others.values_list("pk", flat=True):
        end_if_gone(server_id)


def end_silent(server_ids: Collection[str], *, since: timedelta, judge: QuerySet[Any]) -> None:
    """Declares those dead whose leases have been over for so long, while `judge` finds a row.

    It may not be a row of `Server`: MySQL does not read a table in the statement that updates it.
    """
    silent = Server.objects.filter(Exists(judge), ended_at__isnull=True)
    for server_id in server_ids:
        if silent.filter(pk=server_id, lease_until__lte=Now() - since).update(ended_at=Now()):
            Connection.objects.filter(server_id=server_id).delete()


def end_if_gone(server_id: str) -> bool:
    """Ends a server's lease if its process is provably gone; whether it is."""
    server = Server.objects.filter(pk=server_id).first()
    if server is None or not is_provably_gone(server.process):
        return False
    end(server_id)
    return True


def forget_ended_servers(older_than: timedelta) -> None:
    """Deletes the rows of servers that ended long ago and own nothing."""
    Server.objects.filter(ended_at__lt=Now() - older_than, sessions__isnull=True).delete()
