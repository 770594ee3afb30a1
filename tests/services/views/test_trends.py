"""Measurements thinned out for a chart: nothing invented, nothing counted twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import DjangoAssertNumQueries

from services.models import Instance
from services.views.overview import MEASURED
from services.views.trends import MAX_POINTS, Sample, downsample, last_hour
from tests.services.measured import add_checks, add_instance, add_service

SESSIONS, TURNS, MEMORY, P95, LAG = range(5)


def sample(instance_id: str, at: float, *, memory: float | None = None, **other: float) -> Sample:
    named = {"memory_mb": memory} | other
    return Sample(instance_id, at, [named.get(name) for name in MEASURED])


def known(column: Sequence[float | None]) -> list[float]:
    return [value for value in column if value is not None]


def test_an_hour_of_checks_becomes_a_hundred_and_twenty_points() -> None:
    samples = [sample("a", 10.0 * number, memory=100.0) for number in range(361)]
    columns = downsample(samples, 0.0, 3600.0, spacing_s=10.0)
    assert columns["at"] == [15.0 + 30.0 * number for number in range(120)]
    assert columns["memory_mb"] == [100.0] * 120
    assert columns["turn_p95_ms"] == [None] * 120


def test_an_instance_counts_once_however_often_it_was_checked() -> None:
    samples = [sample("a", at, memory=100.0) for at in (1, 2, 3)] + [sample("b", 4, memory=50.0)]
    assert known(downsample(samples, 0.0, 3600.0, 10.0)["memory_mb"]) == [150.0]


def test_what_is_the_services_as_a_whole_does_not_grow_with_its_instances() -> None:
    samples = [sample(one, 1, active_sessions=6.0) for one in "abc"]
    samples += [sample("a", 2, active_sessions=9.0)]
    assert known(downsample(samples, 0.0, 3600.0, 10.0)["active_sessions"]) == [6.75]


def test_a_peak_of_latency_is_not_averaged_away() -> None:
    samples = [sample("a", 1, turn_p95_ms=100.0), sample("a", 11, turn_p95_ms=900.0)]
    assert known(downsample(samples, 0.0, 3600.0, 10.0)["turn_p95_ms"]) == [900.0]


def test_where_nothing_was_measured_there_is_a_gap() -> None:
    samples = [sample("a", 15, memory=1.0), sample("a", 75, memory=2.0), sample("a", 45)]
    assert downsample(samples, 0.0, 3600.0, 10.0)["memory_mb"][:4] == [1.0, None, 2.0, None]


def test_rare_checks_make_wide_points_with_every_instance_in_each() -> None:
    samples = [sample(one, at, memory=1.0) for one in "ab" for at in range(0, 3600, 60)]
    columns = downsample(samples, 0.0, 3600.0, spacing_s=60.0)
    assert columns["memory_mb"] == [2.0] * 30


@given(
    st.lists(
        st.builds(
            Sample,
            st.sampled_from("abc"),
            st.floats(-100, 4000),
            st.lists(st.none() | st.floats(0, 1e6), min_size=5, max_size=5),
        ),
        max_size=60,
    ),
    st.floats(0.01, 10_000),
)
def test_points_are_few_in_order_and_within_what_was_measured(
    samples: list[Sample], spacing_s: float
) -> None:
    columns = downsample(samples, 0.0, 3600.0, spacing_s)
    times = known(columns["at"])
    assert 1 <= len(times) <= MAX_POINTS
    assert times == sorted(times)
    for place, name in enumerate(MEASURED):
        assert len(columns[name]) == len(times)
        measured = [each.values[place] or 0.0 for each in samples if each.values[place] is not None]
        # Three instances at most, together.
        assert all(0 <= each <= 3 * max(measured) + 0.1 for each in known(columns[name]))


@pytest.mark.django_db
@pytest.mark.both_databases
def test_the_last_hour_is_two_queries_and_of_one_service(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    service, other = add_service("weather"), add_service("other")
    first, second = add_instance(service), add_instance(service, 1)
    add_checks(first, 30, memory_mb=100.0)
    add_checks(second, 30, memory_mb=50.0)
    add_checks(add_instance(other), 30, memory_mb=7.0)
    with django_assert_num_queries(2):
        found = last_hour(service.pk)
    assert set(known(found["points"]["memory_mb"])[1:]) == {150.0}


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_restart_is_told_with_its_cause_and_a_stop_is_none() -> None:
    service = add_service("weather")
    now = timezone.now()
    for cause, ago in (("crash", 5), ("restart", 10), ("stop", 15), ("memory", 100)):
        add_instance(
            service,
            live_slot=None,
            state=Instance.State.STOPPED,
            cause=cause,
            ended_at=now - timedelta(minutes=ago),
        )
    restarts = last_hour(service.pk)["restarts"]
    assert [each["cause"] for each in restarts] == ["crash", "restart"]
    assert restarts[0]["at"] == pytest.approx((now - timedelta(minutes=5)).timestamp(), abs=1)
