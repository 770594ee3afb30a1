"""Counts spans as they are stored, or as hours and days hold them. Synchronous reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Floor, Ln, TruncHour

from traces.models import Span, SpanCounts
from traces.statistics.histogram import LOG_WIDTH
from traces.statistics.tally import Counted, Operation, Tally

Counts = TypeVar("Counts", bound=SpanCounts)

BUCKET = Case(
    When(duration_ms=0, then=Value(0)),
    # As `histogram.bucket_of`; null of what was not measured.
    When(duration_ms__gt=0, then=Cast(Floor(Ln("duration_ms") / LOG_WIDTH), IntegerField()) + 1),
    default=None,
    output_field=IntegerField(),
)
STORED = (
    *("start", "service", "kind", "name", "model", "count", "errors", "sum_ms", "min_ms"),
    *("max_ms", "prompt_tokens", "completion_tokens", "cost_nano", "histogram"),
)


def ended_within(start: datetime, end: datetime) -> QuerySet[Span]:
    return Span.objects.filter(ended_at__gte=start, ended_at__lt=end)


def of_spans(spans: QuerySet[Span]) -> list[Counted]:
    """One for each hour and operation, in no order."""
    found: dict[tuple[datetime, Operation], Tally] = {}
    for hour, service, kind, name, model, bucket, count, *rest in _groups(spans):
        measured = {} if bucket is None else {bucket: count}
        errors, sum_ms, least, most, prompt, completion, cost = rest
        tally = Tally(
            count, errors, sum_ms or 0, least, most, prompt, completion, cost, Counter(measured)
        )
        key = (hour, Operation(service, kind, name, model))
        found.setdefault(key, Tally()).add(tally)
    return [Counted(hour, operation, tally) for (hour, operation), tally in found.items()]


def _groups(spans: QuerySet[Span]) -> Iterable[tuple[Any, ...]]:
    keys = {
        "hour": TruncHour("ended_at", tzinfo=UTC),
        "service": F("trace__service"),
        "model": F("trace__model"),
        "bucket": BUCKET,
    }
    # Names that differ only in their case are one to MySQL, as everywhere.
    grouped = spans.order_by().values("kind", "name", **keys)
    found: Iterable[tuple[Any, ...]] = grouped.annotate(
        n=Count("pk"),
        failed=Count("pk", filter=Q(status=Span.Status.ERROR)),
        sum_ms=Sum("duration_ms"),
        least=Min("duration_ms"),
        most=Max("duration_ms"),
        prompt=Sum("prompt_tokens"),
        completion=Sum("completion_tokens"),
        cost=Sum("cost_nano"),
    ).values_list(
        *("hour", "service", "kind", "name", "model", "bucket", "n", "failed"),
        *("sum_ms", "least", "most", "prompt", "completion", "cost"),
    )
    return found


def of_stored(rows: QuerySet[Counts]) -> Iterator[Counted]:
    for start, service, kind, name, model, *counts, histogram in rows.values_list(*STORED):
        tally = Tally(*counts)
        tally.histogram.update({int(each): n for each, n in orjson.loads(histogram).items()})
        yield Counted(start, Operation(service, kind, name, model), tally)


def within(kind: type[Counts], start: datetime, end: datetime) -> QuerySet[Counts]:
    return kind._default_manager.filter(start__gte=start, start__lt=end)


def stored_row(kind: type[Counts], counted: Counted) -> Counts:
    tally = counted.tally
    buckets = {str(each): count for each, count in sorted(tally.histogram.items())}
    return kind(
        start=counted.start,
        **counted.operation._asdict(),
        count=tally.count,
        errors=tally.errors,
        sum_ms=tally.sum_ms,
        min_ms=tally.min_ms,
        max_ms=tally.max_ms,
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        cost_nano=tally.cost_nano,
        histogram=orjson.dumps(buckets).decode(),
    )
