"""How changes are noticed: every service counts its changes, and waiting processes read the sum.

This is one query of a small table, five times a second at most; it works across processes and
machines with the database alone. With Redis, waiting processes are told to read.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, QuerySet, Sum

from agents.runtime import bell
from services.models import Service

LOOK_S = 0.2
"""Seconds between two reads."""

Revision = tuple[int, int]
"""To be compared with an earlier one: a different value means that something changed."""


BELL = "services"
"""See `agents.runtime.bell`."""


def change(services: QuerySet[Service], **changes: Any) -> int:
    """Updates these rows and announces the change, if there are any; returns their number."""
    count = services.update(**changes, revision=F("revision") + 1)
    if count:
        announce()
    return count


def ring(service_id: str) -> None:
    """Announces that the service, or an instance of it, changed."""
    change(Service.objects.filter(pk=service_id))


def announce() -> None:
    """Has all processes read now rather than at their next poll: a revision has grown."""
    bell.ring(BELL)


def revision() -> Revision:
    """The sum of all changes so far."""
    heard = Service.objects.aggregate(count=Count("pk"), changes=Sum("revision"))
    return heard["count"], heard["changes"] or 0
