"""Traces beyond what a site keeps are removed: the oldest first, never one that runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.traces.recorded import Story
from traces import pruning
from traces.checks import check_limits
from traces.models import Span, SpanHour, Trace
from traces.pruning import _prune_a_while
from traces.reading.finding import first_id
from traces.statistics import rolling

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def told(question: str, hours_ago: int, *, is_over: bool = True) -> None:
    """A run of one step."""
    story = Story()
    ref = story.ask(question)
    if is_over:
        story.interrupt(ref)
    at = timezone.now() - timedelta(hours=hours_ago)
    ended_at = at if is_over else None
    # Ids are as old as their runs.
    id_ = first_id(at)
    Trace.objects.filter(pk=ref.run_id).update(id=id_, started_at=at, ended_at=ended_at)
    Span.objects.filter(trace_id=ref.run_id).update(trace_id=id_, started_at=at, ended_at=ended_at)


def questions() -> list[str]:
    return [trace.request for trace in Trace.objects.order_by("pk")]


def count_hours() -> None:
    while rolling.roll(timezone.now()):
        pass


def test_the_newest_spans_are_kept() -> None:
    for hours in (9, 8, 7, 6, 5):
        told(f"{hours} hours ago", hours)
    count_hours()
    hours = SpanHour.objects.count()
    assert pruning.beyond(3).count() == 2
    assert sum(pruning.remove(pruning.beyond(3))) == 2
    assert questions() == ["7 hours ago", "6 hours ago", "5 hours ago"]
    assert Span.objects.count() == 3
    # What they add to statistics stays.
    assert SpanHour.objects.count() == hours == 5
    assert not pruning.beyond(3).exists()


def test_a_run_that_goes_on_keeps_its_trace_whatever_its_age() -> None:
    told("waits for somebody", 9, is_over=False)
    told("old", 8)
    told("young", 7)
    count_hours()
    assert sum(pruning.remove(pruning.beyond(1))) == 1
    assert questions() == ["waits for somebody", "young"]


def test_what_statistics_have_not_counted_yet_stays() -> None:
    for hours in (9, 8, 0):
        told(f"{hours} hours ago", hours)
    assert not pruning.beyond(0).exists()
    count_hours()
    assert sum(pruning.remove(pruning.beyond(0))) == 2
    assert questions() == ["0 hours ago"]


def test_a_trace_is_kept_whole_or_not_at_all() -> None:
    for hours in (9, 8):
        told(f"{hours} hours ago", hours)
    old = Trace.objects.order_by("pk")[0]
    span = Span.objects.get(trace_id=old.pk)
    span.pk, span.span_id = None, "another"
    span.save()
    count_hours()
    assert pruning.beyond(3).count() == 0
    assert sum(pruning.remove(pruning.beyond(2))) == 1
    assert Span.objects.count() == 1


@pytest.mark.parametrize("name", ["MYAGENT_TRACE_DAYS", "MYAGENT_TRACE_SPANS"])
def test_a_limit_below_zero_is_told_before_anything_starts(settings: Any, name: str) -> None:
    setattr(settings, name, -1)
    (error,) = check_limits()
    assert error.msg == f"{name} must not be negative."


def test_servers_prune_to_what_the_site_keeps(settings: Any) -> None:
    settings.MYAGENT_TRACE_DAYS = 0
    for hours in (9, 8, 7):
        told(f"{hours} hours ago", hours)
    count_hours()
    settings.MYAGENT_TRACE_SPANS = 0
    _prune_a_while()
    assert len(questions()) == 3
    settings.MYAGENT_TRACE_SPANS = 2
    _prune_a_while()
    assert questions() == ["8 hours ago", "7 hours ago"]
