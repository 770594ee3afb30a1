"""Which traces have changed, from the ids of the log's entries. Synchronous reads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Max, Q
from django.utils import timezone

from agents.models import Event, Run
from traces.live.gaps import PATIENCE_S, Gaps
from traces.models import Span

PAGE = 500
"""Entries that are read at once."""

WINDOW = 20_000
"""Entries below the newest that are looked through for gaps at the start, at most."""

RANGES = 100
"""Gaps that one statement asks for."""

MOST_RUNNING = 1_000
"""Runs under way that a new viewer is told at once."""


@dataclass(frozen=True, slots=True)
class News:
    """The ids of new entries, and the traces that have changed, each once.

    `span_id`: the highest of a span's row. `is_whole`: there is no more for now.
    """

    ids: Sequence[int]
    trace_ids: Sequence[str]
    span_id: int
    is_whole: bool


def start() -> tuple[Gaps, int]:
    """From now on, with what is missing of the last while; and the highest id of a span's row."""
    # The span's first: what comes between the two is news.
    span_id = Span.objects.aggregate(high=Max("pk"))["high"] or 0
    newest = Event.objects.order_by("-pk").values_list("pk", "created_at")[:WINDOW]
    now, at = timezone.now(), time.monotonic()
    recent: list[tuple[int, float]] = []
    for id_, created_at in newest.iterator(PAGE):
        age_s = max(0.0, (now - created_at).total_seconds())
        recent.append((id_, at - age_s))
        if age_s > 2 * PATIENCE_S:
            break
    if not recent:
        return Gaps(0), span_id
    gaps = Gaps(recent[-1][0])
    # What is missing below an entry got its id before it.
    for id_, since in reversed(recent):
        gaps.note([id_], since)
    gaps.expire(at)
    return gaps, span_id


def news(high: int, missing: Sequence[tuple[int, int]], span_id: int) -> News:
    """What has appeared above `high`, in gaps, and among the rows of spans.

    A run may go on without an entry: then it has a new span.
    """
    page = after(high)
    rows = list(page.rows)
    for at in range(0, len(missing), RANGES):
        in_gap = Q()
        for gap in missing[at : at + RANGES]:
            in_gap |= Q(pk__range=gap)
        rows += Event.objects.filter(in_gap).values_list("pk", "run_id")[:PAGE]
    spans = Span.objects.filter(pk__gt=span_id).order_by("pk").values_list("pk", "trace_id")
    opened = list(spans[:PAGE])
    changed = [run_id for _, run_id in rows if run_id] + [trace_id for _, trace_id in opened]
    return News(
        ids=[id_ for id_, _ in rows],
        trace_ids=list(dict.fromkeys(changed)),
        span_id=opened[-1][0] if opened else span_id,
        is_whole=page.is_whole and len(opened) < PAGE,
    )


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of the log as `(id, run)`, by their ids."""

    rows: Sequence[tuple[int, str | None]]
    is_whole: bool


def after(id_: int) -> Page:
    """What comes after an id now."""
    rows = Event.objects.filter(pk__gt=id_).order_by("pk").values_list("pk", "run_id")[:PAGE]
    found = list(rows)
    return Page(found, len(found) < PAGE)


def running() -> list[str]:
    """The runs that are under way, the newest of them if there are very many; oldest first."""
    found = Run.objects.filter(status=Run.Status.RUNNING).order_by("-pk")
    return list(found.values_list("pk", flat=True)[:MOST_RUNNING])[::-1]
