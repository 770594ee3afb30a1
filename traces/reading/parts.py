"""Which part of a time is read from counted days and hours, and which from spans. No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from traces.statistics.rolling import DAY, HOUR, Marks, day_of, hour_of

INSTANT = timedelta(microseconds=1)


class Part(NamedTuple):
    """From `start` to before `end`, in units of a `DAY`, an `HOUR`, or None: span by span."""

    start: datetime
    end: datetime
    unit: timedelta | None = None


def parts_of(
    since: datetime, until: datetime, marks: Marks | None, *, is_by_hours: bool
) -> list[Part]:
    """All of the time, in order. `is_by_hours`: no days, which would hide hours."""
    if since >= until:
        return []
    if marks is None:
        return [Part(since, until)]
    if not is_by_hours:
        start, end = day_of(since + DAY - INSTANT), min(day_of(until), marks.days)
        if start < end:
            return [
                *parts_of(since, start, marks, is_by_hours=True),
                Part(start, end, DAY),
                *parts_of(end, until, marks, is_by_hours=True),
            ]
    start, end = hour_of(since + HOUR - INSTANT), min(hour_of(until), marks.hours)
    if start >= end:
        return [Part(since, until)]
    parts = [Part(since, start), Part(start, end, HOUR), Part(end, until)]
    return [part for part in parts if part.start < part.end]
