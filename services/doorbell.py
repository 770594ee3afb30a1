"""How a change is noticed: every service counts its changes, and whoever waits looks at the sum.

One query of a small table, five times a second at most; it works across
processes and machines with nothing but the database. With Redis whoever waits is
told to look.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Count, F, QuerySet, Sum

from agents.runtime import bell
from services.models import Service

LOOK_S = 0.2
"""Seconds between two looks."""

Revision = tuple[int, int]
"""Compared with an earlier one: another value means that something changed."""


BELL = "services"
"""See `agents.runtime.bell`."""


def change(services: QuerySet[Service], **changes: Any) -> int:
    """Updates these and tells everybody. How many they were; of none, nobody is told."""
    count = services.update(**changes, revision=F("revision") + 1)
    if count:
        announce()
    return count


def ring(service_id: str) -> None:
    """Tells everybody that the service, or an instance of it, changed."""
    change(Service.objects.filter(pk=service_id))


def announce() -> None:
    """Has everybody look whose own look would come later: a revision has grown.

    Not before it can be seen, where a transaction is open.
    """
    transaction.on_commit(partial(bell.ring, BELL))


def revision() -> Revision:
    """The sum of all changes so far."""
    heard = Service.objects.aggregate(count=Count("pk"), changes=Sum("revision"))
    return heard["count"], heard["changes"] or 0
