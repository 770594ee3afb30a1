"""Which part of a time is read from hours that are counted, and which from spans. No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from traces.statistics.rolling import HOUR, hour_of


class Part(NamedTuple):
    """From `start` to before `end`."""

    start: datetime
    end: datetime


def parts_of(
    since: datetime, until: datetime, rolled: datetime | None
) -> tuple[Part | None, list[Part]]:
    """The whole hours before `rolled`, and what is left of the time, at both ends."""
    start = hour_of(since + HOUR - timedelta(microseconds=1))
    end = hour_of(until)
    if rolled is not None:
        end = min(end, rolled)
    if rolled is None or start >= end:
        return None, [Part(since, until)]
    rest = [Part(since, start), Part(end, until)]
    return Part(start, end), [part for part in rest if part.start < part.end]
