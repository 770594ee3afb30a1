"""How a change is noticed: every service counts its changes, and whoever waits looks at the sum.

One query of a small table, five times a second at most; it works across
processes and machines with nothing but the database. With Redis whoever waits is
told to look.
"""

from __future__ import annotations

from django.db.models import Count, F, Sum

from agents.runtime import bell
from services.models import Service

LOOK_S = 0.2
"""Seconds between two looks."""

Revision = tuple[int, int]
"""Compared with an earlier one: another value means that something changed."""


BELL = "services"
"""See `agents.runtime.bell`."""


def ring(service_id: str) -> None:
    """Tells everybody that the service, or an instance of it, changed."""
    Service.objects.filter(pk=service_id).update(revision=F("revision") + 1)
    announce()


def announce() -> None:
    """Has everybody look whose own look would come later: a revision has grown."""
    bell.ring(BELL)


def revision() -> Revision:
    """The sum of all changes so far."""
    heard = Service.objects.aggregate(count=Count("pk"), changes=Sum("revision"))
    return heard["count"], heard["changes"] or 0
