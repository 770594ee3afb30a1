"""Which finished traces are still to be sent. Synchronous; every server takes some.

A trace is sent at least once: a server that ends while it has a claim leaves it to another one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import F, QuerySet

from agents.runtime.ids import new_id
from traces.models import Waiting

AT_ONCE = 32
"""Traces of one claim."""

CLAIM_S = 60.0
"""Seconds after which a claim is over."""

MOST_PAUSE_S = 60.0
"""Seconds between two attempts to send a trace, at most, unless the receiver asks for more."""


def claim(now: datetime) -> list[Waiting]:
    """Some that are due, the longest waiting first, for this caller alone."""
    due = Waiting.objects.filter(due_at__lte=now)
    ids = list(due.order_by("due_at").values_list("pk", flat=True)[:AT_ONCE])
    if not ids:
        return []
    mine = new_id()
    # Whoever comes second finds them not due any more.
    due.filter(pk__in=sorted(ids)).update(claim=mine, due_at=now + timedelta(seconds=CLAIM_S))
    return list(Waiting.objects.filter(claim=mine, pk__in=ids).order_by("pk"))


def remove(ids: Collection[str]) -> None:
    """They were sent, or never will be."""
    Waiting.objects.filter(pk__in=ids).delete()


def put_off(claimed: Collection[Waiting], now: datetime, at_least_s: float = 0.0) -> None:
    """They could not be sent: later, each after a longer pause than before."""
    for tries in {each.tries for each in claimed}:
        pause = timedelta(seconds=max(min(2.0**tries, MOST_PAUSE_S), at_least_s))
        same = [each for each in claimed if each.tries == tries]
        _mine(same).update(tries=F("tries") + 1, due_at=now + pause, claim="")


def give_back(claimed: Collection[Waiting], now: datetime) -> None:
    """They were not tried."""
    _mine(claimed).update(due_at=now, claim="")


def _mine(claimed: Collection[Waiting]) -> QuerySet[Waiting]:
    claims = {each.claim for each in claimed}
    return Waiting.objects.filter(pk__in=[each.pk for each in claimed], claim__in=claims)
