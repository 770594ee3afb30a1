"""Counts each hour and day once, when no span can end in it any more.

Synchronous; may be called again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from agents.chores import Chore
from agents.runtime.database import DatabaseThreads
from traces.models import RolledUp, Span, SpanDay, SpanHour
from traces.statistics import counting
from traces.statistics.tally import Counted, Operation, Tally

HOUR = timedelta(hours=1)

DAY = timedelta(days=1)

AT_ONCE = 500
"""Rows of one statement."""

LAG = timedelta(minutes=10)
"""How long after its end an hour is counted: so late may be a commit, or so wrong a clock."""

MOST_IN_A_ROW = 500
"""Hours after which a server does something else for a while."""

ROLL_S = 300.0
"""Seconds between two looks of a server."""


def day_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


class Marks(NamedTuple):
    """Spans that ended before `hours` are counted in hours, those before `days` in days as well."""

    hours: datetime
    days: datetime


def marks() -> Marks | None:
    """None if nothing is counted yet."""
    until = RolledUp.objects.values_list("until", flat=True).first()
    return None if until is None else Marks(until, day_of(until - HOUR))


def roll(now: datetime) -> bool:
    """Counts the oldest hour that is due, and the day that it ends. False if there is none, or
    another server did.
    """
    present = marks()
    due = hour_of(now - LAG)
    ended = Span.objects.filter(ended_at__lt=due)
    if present is not None:
        ended = ended.filter(ended_at__gte=present.hours)
    first = ended.aggregate(first=Min("ended_at"))["first"]
    if first is None:
        return False
    hour = hour_of(first)
    counted = counting.of_spans(counting.ended_within(hour, hour + HOUR))
    days = [] if present is None or day_of(hour) == present.days else _day(present.days)
    with transaction.atomic():
        if not _move(present, hour + HOUR):
            return False
        hours = [counting.stored_row(SpanHour, each) for each in counted]
        SpanHour.objects.bulk_create(hours, batch_size=AT_ONCE)
        SpanDay.objects.bulk_create(days, batch_size=AT_ONCE)
    return True


def _day(day: datetime) -> list[SpanDay]:
    """Of its hours, all of which are counted."""
    found: dict[Operation, Tally] = {}
    for _, operation, tally in counting.of_stored(counting.within(SpanHour, day, day + DAY)):
        found.setdefault(operation, Tally()).add(tally)
    return [
        counting.stored_row(SpanDay, Counted(day, operation, tally))
        for operation, tally in found.items()
    ]


def _move(present: Marks | None, until: datetime) -> bool:
    """Whether it was nobody else who moved the mark."""
    if present is None:
        _, is_new = RolledUp.objects.get_or_create(pk=RolledUp.ONLY, defaults={"until": until})
        return is_new
    return bool(RolledUp.objects.filter(until=present.hours).update(until=until))


def forget(before: datetime) -> None:
    """Removes the counts of whole days before then."""
    for kind in (SpanHour, SpanDay):
        kind.objects.filter(start__lt=day_of(before)).delete()


async def _roll(database: DatabaseThreads) -> None:
    await database.run(roll_a_while)


def roll_a_while() -> None:
    """Counts the hours that are due, up to `MOST_IN_A_ROW`."""
    now = timezone.now()
    for _ in range(MOST_IN_A_ROW):
        if not roll(now):
            return


ROLLING = Chore(ROLL_S, _roll)
