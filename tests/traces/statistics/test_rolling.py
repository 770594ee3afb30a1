"""Each hour is counted once, when it is over, whoever counts; what is asked for is always all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.recorded import Story
from traces.models import RolledUp, Span, SpanDay, SpanHour, Trace
from traces.pruning import _prune_a_while
from traces.reading import stats
from traces.reading.parts import parts_of
from traces.statistics import counting, rolling
from traces.statistics.histogram import bucket_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

database = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]
moments = st.integers(0, 60 * 24 * 4).map(lambda minutes: NOON + minutes * MINUTE)


def ended(at: datetime, *durations: int | None, service: str = "tested", **facts: Any) -> None:
    """Spans of a tool that ended then."""
    ref = Story(service=service).ask("work")
    Span.objects.all().filter(trace_id=ref.run_id).delete()
    Span.objects.bulk_create(
        Span(
            **{"trace_id": ref.run_id, "span_id": f"{number}", "kind": "tool", "name": "search"}
            | {"status": "success", "attempt": 1, "step": 1, "started_at": at, "ended_at": at}
            | {"duration_ms": duration}
            | facts
        )
        for number, duration in enumerate(durations)
    )


def asked(since: datetime, until: datetime, **more: Any) -> stats.Json:
    return stats.stats_json(stats.Wanted(since, until, **more))


def roll_all(now: datetime) -> int:
    count = 0
    while rolling.roll(now):
        count += 1
    return count


@given(
    moments,
    moments,
    st.none() | st.integers(0, 24 * 4).map(lambda hours: NOON + hours * HOUR),
    st.booleans(),
)
def test_the_parts_of_a_time_are_all_of_it_and_none_twice(
    one: datetime, other: datetime, rolled: datetime | None, is_by_hours: bool
) -> None:
    since, until = min(one, other), max(one, other)
    marks = None
    if rolled is not None:
        marks = rolling.Marks(rolled, rolling.day_of(rolled - HOUR))
    parts = parts_of(since, until, marks, is_by_hours=is_by_hours)
    assert all(one.end == other.start for one, other in pairwise(parts))
    if since < until:
        assert (parts[0].start, parts[-1].end) == (since, until)
    for start, end, unit in parts:
        assert start < end
        if unit is not None:
            assert marks is not None
            assert end <= (marks.hours if unit == HOUR else marks.days)
            round_down = rolling.hour_of if unit == HOUR else rolling.day_of
            assert (round_down(start), round_down(end)) == (start, end)
            assert unit == HOUR or not is_by_hours


class TestHours:
    pytestmark = database

    def test_the_answer_is_the_same_before_and_after_an_hour_is_counted(self) -> None:
        ended(NOON + MINUTE, 0, 1, 100, 104, 5_000, None)
        ended(NOON + 59 * MINUTE, 70, status="error", name="other")
        ended(NOON + HOUR, 200, kind="think", prompt_tokens=10, cost_nano=5)
        ended(NOON + 5 * HOUR, 300, service="weather")
        times = (NOON, NOON + 6 * HOUR), (NOON + 30 * MINUTE, NOON + 2 * HOUR)
        before = [asked(*time, by=by) for time in times for by in stats.By]
        assert roll_all(NOON + 3 * HOUR) == 2
        assert RolledUp.objects.get().until == NOON + 2 * HOUR
        assert [asked(*time, by=by) for time in times for by in stats.By] == before
        assert roll_all(NOON + 30 * HOUR) == 1
        assert [asked(*time, by=by) for time in times for by in stats.By] == before
        tool = before[0]["items"][0]
        assert (tool["kind"], tool["group"], tool["count"], tool["errors"]) == (
            *("tool", "search", 7, 0),
        )
        assert (tool["min_ms"], tool["max_ms"]) == (0, 5_000)

    def test_days_are_counted_from_their_hours(self) -> None:
        for hours in (0, 1, 24, 30, 31, 100):
            ended(NOON + hours * HOUR, 10, 1_000 * hours, service=f"of {hours}")
        times = (NOON, NOON + 110 * HOUR), (NOON + 5 * MINUTE, NOON + 90 * HOUR)
        before = [asked(*time, by=by) for time in times for by in stats.By]
        for passed in (2, 30, 40, 120):
            roll_all(NOON + passed * HOUR)
            assert [asked(*time, by=by) for time in times for by in stats.By] == before
        assert {each.day for each in SpanDay.objects.values_list("start", flat=True)} == {20, 21}
        SpanHour.objects.filter(start__day=21).delete()
        assert [asked(*time, by=by) for time in times for by in stats.By] == before

    def test_what_is_rolled_up_is_not_read_from_spans(self) -> None:
        ended(NOON, 10, 20)
        assert roll_all(NOON + 2 * HOUR) == 1
        Span.objects.all().delete()
        assert asked(NOON, NOON + HOUR)["items"][0]["count"] == 2

    def test_an_hour_is_counted_after_a_safe_time(self) -> None:
        ended(NOON + MINUTE, 10)
        assert roll_all(NOON + HOUR + rolling.LAG - MINUTE) == 0
        ended(NOON + 59 * MINUTE, 20)
        assert roll_all(NOON + HOUR + rolling.LAG) == 1
        assert asked(NOON, NOON + HOUR)["items"][0]["count"] == 2

    def test_two_servers_count_an_hour_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ended(NOON, 10)
        ended(NOON + HOUR, 10)
        count = counting.of_spans

        def another_is_first(spans: Any) -> Any:
            monkeypatch.setattr(counting, "of_spans", count)
            found = count(spans)
            assert rolling.roll(NOON + 3 * HOUR)
            return found

        for hours in (1, 2):
            monkeypatch.setattr(counting, "of_spans", another_is_first)
            assert not rolling.roll(NOON + 3 * HOUR)
            assert SpanHour.objects.count() == hours

    def test_a_span_that_runs_is_not_counted(self) -> None:
        Story().ask("work")
        now = timezone.now()
        assert not rolling.roll(now + 3 * HOUR)
        assert asked(now - HOUR, now + HOUR)["items"] == []

    def test_the_database_counts_as_the_scale_says(self) -> None:
        values = [0, 1, 2, 3, 5, 10, 99, 1_000, 65_537, 86_400_000]
        ended(NOON, *values)
        (found,) = counting.of_spans(Span.objects.filter(ended_at=NOON))
        assert set(found.tally.histogram) == {bucket_of(each) for each in values}

    def test_old_hours_are_forgotten_with_old_traces(self, settings: Any) -> None:
        settings.MYAGENT_TRACE_DAYS = 30
        now = timezone.now()
        for days in (40, 1):
            ended(now - timedelta(days=days), 10)
        assert roll_all(now) == 2
        _prune_a_while()
        assert SpanHour.objects.get().start > now - timedelta(days=2)

    def test_more_groups_than_are_shown_are_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stats, "MOST_GROUPS", 1)
        ended(NOON, 1, 2)
        ended(NOON, 1, name="other")
        found = asked(NOON, NOON + HOUR)
        assert found["total"] == 2
        assert [each["group"] for each in found["items"]] == ["search"]

    def test_tokens_and_costs_are_told_over_time(self) -> None:
        ended(NOON, 1, kind="think", prompt_tokens=10, completion_tokens=2, cost_nano=5 * 10**8)
        ended(NOON + HOUR, 1, kind="think", prompt_tokens=7)
        while rolling.roll(NOON + 4 * HOUR):
            pass
        (item,) = asked(NOON, NOON + 3 * HOUR)["items"]
        used = ("prompt_tokens", "completion_tokens", "cost")
        assert [[bucket[name] for name in used] for bucket in item["buckets"]] == [
            [10, 2, 0.5],
            [7, 0, None],
        ]
        assert [item[name] for name in used] == [17, 2, 0.5]

    def test_groups_are_divided_into_hours_or_days(self) -> None:
        ended(NOON, 1, 2)
        ended(NOON + 25 * HOUR, 3)
        assert Trace.objects.count() == 2
        by_hour = asked(NOON, NOON + 48 * HOUR)
        assert by_hour["bucket"] == "hour"
        hours = [(each["at"], each["count"]) for each in by_hour["items"][0]["buckets"]]
        assert hours == [("2026-11-20T12:00:00.000Z", 2), ("2026-11-21T13:00:00.000Z", 1)]
        by_day = asked(NOON, NOON + 49 * HOUR)
        assert by_day["bucket"] == "day"
        days = [(each["at"][:10], each["count"]) for each in by_day["items"][0]["buckets"]]
        assert days == [("2026-11-20", 2), ("2026-11-21", 1)]
