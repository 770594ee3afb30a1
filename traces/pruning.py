"""Removes old traces. Synchronous; may be called again after a failure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from agents.archive.removal import delete_rows
from agents.chores import Chore
from agents.runtime.database import DatabaseThreads
from traces.models import Feedback, Span, Trace
from traces.reading.finding import first_id
from traces.statistics.rolling import forget

AT_ONCE = 200
"""Traces that are removed in one transaction."""

MOST_IN_A_ROW = 50
"""Transactions after which a server does something else for a while."""

PRUNE_S = 600.0
"""Seconds between two removals by a server."""


def older(before: datetime) -> QuerySet[Trace]:
    """Those that ended before then, the oldest first."""
    # A run that is under way may have begun long ago: it waits for somebody. The ids bound what is
    # looked through.
    return Trace.objects.filter(
        ended_at__lt=before, started_at__lt=before, pk__lt=first_id(before)
    ).order_by("pk")


def remove_older(before: datetime) -> Iterator[int]:
    """Removes `older(before)` in portions, and yields the size of each."""
    while page := list(older(before).values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic():
            delete_rows(Feedback.objects.filter(trace_id__in=page))
            delete_rows(Span.objects.filter(trace_id__in=page))
            delete_rows(Trace.objects.filter(pk__in=page))
        yield len(page)


async def _prune(database: DatabaseThreads) -> None:
    if settings.MYAGENT_TRACE_DAYS:
        await database.run(_prune_a_while)


def _prune_a_while() -> None:
    before = timezone.now() - timedelta(days=settings.MYAGENT_TRACE_DAYS)
    forget(before)
    for count, _ in enumerate(remove_older(before), 1):
        if count == MOST_IN_A_ROW:
            return


PRUNING = Chore(PRUNE_S, _prune)
