"""How changes are noticed: every service counts its changes; waiting processes read the sum.

This is one query of a small table, at most five times a second; it works across processes and
machines with the database alone. With Redis, waiting processes are told when to read.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Count, F, QuerySet, Sum

from agents.runtime import bell
from services.models import Service

LOOK_S = 0.2
"""Seconds between two reads."""

Revision = tuple[int, int]
"""Compared with an earlier value: a different one means that something changed."""


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
    """Makes waiting processes read now, because a revision has grown.

    Within a transaction this is delayed until the change is visible.
    """
    transaction.on_commit(partial(bell.ring, BELL))


def revision() -> Revision:
    """The sum of all changes so far."""
    heard = Service.objects.aggregate(count=Count("pk"), changes=Sum("revision"))
    return heard["count"], heard["changes"] or 0
