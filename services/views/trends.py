"""A service's last hour: its health checks, downsampled for a chart."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean

from django.conf import settings
from django.db.models import Q

from services.models import HealthCheck, Instance
from services.supervision.lifecycle import FAILURES, Cause
from services.views.describing import Json
from services.views.overview import MEASURED, SUMMED, WHOLE

WINDOW_S = 3600.0
MAX_POINTS = 120
MAX_CHECKS = 50_000
"""Rows that are read, the newest; a service with very many instances has a shorter chart."""

MAX_RESTARTS = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """What one check measured. `at`: seconds; `values`: as in `MEASURED`, null where unknown."""

    instance_id: str
    at: float
    values: Sequence[float | None]


@dataclass(slots=True)
class _Bucket:
    """What was measured in one span of time, by instance."""

    found: list[defaultdict[str, list[float]]] = field(
        default_factory=lambda: [defaultdict(list) for _ in MEASURED]
    )

    def add(self, sample: Sample) -> None:
        for found, value in zip(self.found, sample.values, strict=True):
            if value is not None:
                found[sample.instance_id].append(value)

    def summary(self) -> list[float | None]:
        """Sums of the instances' means where values add up, else the mean or the worst.

        Figures of the whole service are the same in the checks of all its instances.
        """
        summary: list[float | None] = []
        for name, found in zip(MEASURED, self.found, strict=True):
            values = found.values()
            if not values:
                summary.append(None)
            elif name in SUMMED:
                summary.append(round(sum(fmean(each) for each in values), 2))
            elif name in WHOLE:
                summary.append(round(fmean(value for each in values for value in each), 2))
            else:
                summary.append(round(max(max(each) for each in values), 2))
        return summary


def downsample(
    samples: Iterable[Sample], begin: float, end: float, spacing_s: float
) -> dict[str, list[float | None]]:
    """At most `MAX_POINTS` points of all instances together, evenly spaced from `begin` to `end`.

    `spacing_s`: seconds between two samples of one instance; no point stands
    for less than two of them, so that each instance is in each point. `at` is
    the middle of a point's span, in seconds; where nothing was measured the
    values are null. No I/O.
    """
    width_s = max((end - begin) / MAX_POINTS, 2 * spacing_s)
    count = max(1, min(MAX_POINTS, int((end - begin) // width_s)))
    # Counted from the end, so that the newest point stands for a whole span.
    first = end - count * width_s
    buckets = [_Bucket() for _ in range(count)]
    for sample in samples:
        place = int((sample.at - first) // width_s)
        if sample.at >= first and sample.at <= end:
            buckets[min(place, count - 1)].add(sample)
    columns: dict[str, list[float | None]] = {
        "at": [round(first + (number + 0.5) * width_s, 1) for number in range(count)]
    }
    summaries = [bucket.summary() for bucket in buckets]
    for place, name in enumerate(MEASURED):
        columns[name] = [summary[place] for summary in summaries]
    return columns


def last_hour(service_id: str) -> Json:
    """`points` as `downsample` has them, `restarts` with their times and causes: two queries."""
    end = time.time()
    since = datetime.fromtimestamp(end - WINDOW_S, UTC)
    checks = HealthCheck.objects.filter(service_id=service_id, checked_at__gte=since)
    rows = checks.order_by("-checked_at").values_list("instance_id", "checked_at", *MEASURED)
    samples = (Sample(row[0], row[1].timestamp(), row[2:]) for row in rows[:MAX_CHECKS].iterator())
    ended = (
        Instance.objects.filter(service_id=service_id, ended_at__gte=since)
        .filter(Q(cause__in=FAILURES) | Q(cause=Cause.RESTART))
        .order_by("-ended_at")
        .values_list("ended_at", "cause")[:MAX_RESTARTS]
    )
    return {
        "points": downsample(samples, end - WINDOW_S, end, settings.MYAGENT_HEALTH_INTERVAL_S),
        "restarts": [{"at": at.timestamp(), "cause": cause} for at, cause in ended if at],
    }
