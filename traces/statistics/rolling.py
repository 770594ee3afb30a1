"""Counts each hour once, when no span can end in it any more. Synchronous; may be called again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from agents.chores import Chore
from agents.runtime.database import DatabaseThreads
from traces.models import RolledUp, Span, SpanHour
from traces.statistics import counting

HOUR = timedelta(hours=1)

LAG = timedelta(minutes=10)
"""How long after its end an hour is counted: so late may be a commit, or so wrong a clock."""

MOST_IN_A_ROW = 500
"""Hours after which a server does something else for a while."""

ROLL_S = 300.0
"""Seconds between two looks of a server."""


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def rolled_until() -> datetime | None:
    """Spans that ended before are counted; None if none are yet."""
    return RolledUp.objects.values_list("until", flat=True).first()


def roll(now: datetime) -> bool:
    """Counts the oldest hour that is due. False if there is none, or another server did."""
    present = rolled_until()
    due = hour_of(now - LAG)
    ended = Span.objects.filter(ended_at__lt=due)
    if present is not None:
        ended = ended.filter(ended_at__gte=present)
    first = ended.aggregate(first=Min("ended_at"))["first"]
    if first is None:
        return False
    hour = hour_of(first)
    rows = [
        counting.hour_row(each)
        for each in counting.of_spans(counting.ended_within(hour, hour + HOUR))
    ]
    with transaction.atomic():
        if not _move(present, hour + HOUR):
            return False
        SpanHour.objects.bulk_create(rows, batch_size=500)
    return True


def _move(present: datetime | None, until: datetime) -> bool:
    """Whether it was nobody else who moved the mark."""
    if present is None:
        _, is_new = RolledUp.objects.get_or_create(pk=RolledUp.ONLY, defaults={"until": until})
        return is_new
    return bool(RolledUp.objects.filter(until=present).update(until=until))


def remove_hours(before: datetime) -> int:
    """Forgets hours that began before then."""
    return SpanHour.objects.filter(hour__lt=before).delete()[0]


async def _roll(database: DatabaseThreads) -> None:
    await database.run(_roll_a_while)


def _roll_a_while() -> None:
    now = timezone.now()
    for _ in range(MOST_IN_A_ROW):
        if not roll(now):
            return


ROLLING = Chore(ROLL_S, _roll)
