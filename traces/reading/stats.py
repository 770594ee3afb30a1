"""How often operations ran, how long they took and what they used. Synchronous reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings

from agents.principals import Principal
from myagent.protocol import timestamp
from traces.models import NANO, SpanDay, SpanHour
from traces.reading import feedback
from traces.reading.finding import NotTheirs
from traces.reading.parts import parts_of
from traces.statistics import counting
from traces.statistics.rolling import DAY, marks
from traces.statistics.tally import Counted, Tally

Json = dict[str, Any]
Group = tuple[str, str]
"""Its kind, and what it is grouped by."""

MOST_GROUPS = 100
LONGEST = timedelta(days=366)
LONGEST_BY_HOURS = timedelta(days=2)
"""Up to so much time is divided into hours, more into days."""


class By(StrEnum):
    """What counts as one operation, of each kind. `MODEL`: of the run, for its tools too."""

    NAME = "name"
    SERVICE = "service"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Spans that ended at `since` or later and before `until`, at most `LONGEST` after it."""

    since: datetime
    until: datetime
    by: By = By.NAME
    service: str = ""
    principal: Principal | None = None


def stats_json(wanted: Wanted) -> Json:
    """The `MOST_GROUPS` most frequent operations; `total` says how many there are.

    Percentiles are true to 5 %. Raises `NotTheirs` if the principal may not read everybody's runs.
    """
    if wanted.principal is not None and not wanted.principal.sees_everything:
        raise NotTheirs("stats")
    is_by_hours = wanted.until - wanted.since <= LONGEST_BY_HOURS
    groups = _grouped(wanted, is_by_hours=is_by_hours)
    totals = {group: _total(buckets.values()) for group, buckets in groups.items()}
    order = sorted(totals, key=lambda group: (-totals[group].count, group))
    return {
        "by": str(wanted.by),
        "since": timestamp(wanted.since),
        "until": timestamp(wanted.until),
        "bucket": "hour" if is_by_hours else "day",
        "currency": settings.MYAGENT_CURRENCY,
        "total": len(order),
        "items": [_item(group, totals[group], groups[group]) for group in order[:MOST_GROUPS]],
        "feedback": _feedback(wanted),
    }


def _feedback(wanted: Wanted) -> list[Json]:
    """An answer is no operation: by name, it counts for its service."""
    column = "model" if wanted.by == By.MODEL else "service"
    found = feedback.totals(column, wanted.since, wanted.until, _services_of(wanted))
    return found[:MOST_GROUPS]


def _grouped(wanted: Wanted, *, is_by_hours: bool) -> dict[Group, dict[datetime, Tally]]:
    """By group, then by the start of the hour or day."""
    found: dict[Group, dict[datetime, Tally]] = {}
    for counted in _counted(wanted, is_by_hours=is_by_hours):
        group = (counted.operation.kind, getattr(counted.operation, wanted.by))
        at = counted.start.astimezone(UTC)
        buckets = found.setdefault(group, {})
        buckets.setdefault(at if is_by_hours else at.replace(hour=0), Tally()).add(counted.tally)
    return found


def _counted(wanted: Wanted, *, is_by_hours: bool) -> Iterator[Counted]:
    # What is counted stays so: the marks are read before the rest.
    parts = parts_of(wanted.since, wanted.until, marks(), is_by_hours=is_by_hours)
    services = _services_of(wanted)
    for start, end, unit in parts:
        if unit is None:
            yield from _not_counted_yet(start, end, services)
            continue
        kind: type[SpanDay] | type[SpanHour] = SpanDay if unit == DAY else SpanHour
        rows = counting.within(kind, start, end)
        yield from counting.of_stored(rows.filter(service__in=services) if services else rows)


def _not_counted_yet(
    start: datetime, end: datetime, services: Set[str] | None
) -> Iterator[Counted]:
    """Usually the last hour; all days until a site that was upgraded has counted them."""
    while start < end:
        # A day at a time bounds what the database has to sort at once.
        stop = min(start + DAY, end)
        spans = counting.ended_within(start, stop)
        spans = spans if services is None else spans.filter(trace__service__in=services)
        yield from counting.of_spans(spans)
        start = stop


def _services_of(wanted: Wanted) -> Set[str] | None:
    """None: all. Never empty: no service has an empty name."""
    services: Set[str] | None = {wanted.service} if wanted.service else None
    if wanted.principal is not None and wanted.principal.services is not None:
        may_use = wanted.principal.services
        services = may_use if services is None else services & may_use
    return services if services is None else services or {""}


def _total(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for each in tallies:
        total.add(each)
    return total


def _item(group: Group, total: Tally, buckets: Mapping[datetime, Tally]) -> Json:
    kind, name = group
    return {
        "kind": kind,
        "group": name,
        **_figures(total),
        "buckets": [{"at": timestamp(at), **_figures(buckets[at])} for at in sorted(buckets)],
    }


def _figures(tally: Tally) -> Json:
    return {
        "count": tally.count,
        "errors": tally.errors,
        "avg_ms": _rounded(tally.avg_ms),
        "min_ms": tally.min_ms,
        "max_ms": tally.max_ms,
        "p50_ms": _rounded(tally.percentile_ms(0.5)),
        "p95_ms": _rounded(tally.percentile_ms(0.95)),
        "prompt_tokens": tally.prompt_tokens,
        "completion_tokens": tally.completion_tokens,
        "cost": None if tally.cost_nano is None else tally.cost_nano / NANO,
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
