"""Removes old traces. Synchronous; may be called again after a failure."""

from __future__ import annotations

import itertools
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
from traces.statistics.rolling import forget, marks

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


def beyond(spans: int) -> QuerySet[Trace]:
    """Those that have ended and are not among the newest with so many spans together, the oldest
    first; without those that statistics have not counted yet.

    Whoever asks at a time is told the same: several servers remove no more than one.
    """
    newest = Span.objects.order_by("-trace_id").values_list("trace_id", flat=True)
    last, present = newest[spans : spans + 1].first(), marks()
    if last is None or present is None:
        return Trace.objects.none()
    return Trace.objects.filter(pk__lte=last, ended_at__lt=present.hours).order_by("pk")


def remove(traces: QuerySet[Trace]) -> Iterator[int]:
    """Removes traces in portions, and yields the size of each."""
    while page := list(traces.values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic():
            delete_rows(Feedback.objects.filter(trace_id__in=page))
            delete_rows(Span.objects.filter(trace_id__in=page))
            delete_rows(Trace.objects.filter(pk__in=page))
        yield len(page)


async def _prune(database: DatabaseThreads) -> None:
    await database.run(_prune_a_while)


def _prune_a_while() -> None:
    for _ in itertools.islice(_portions(), MOST_IN_A_ROW):
        pass


def _portions() -> Iterator[int]:
    if settings.MYAGENT_TRACE_DAYS:
        before = timezone.now() - timedelta(days=settings.MYAGENT_TRACE_DAYS)
        forget(before)
        yield from remove(older(before))
    if settings.MYAGENT_TRACE_SPANS:
        yield from remove(beyond(settings.MYAGENT_TRACE_SPANS))


PRUNING = Chore(PRUNE_S, _prune)
