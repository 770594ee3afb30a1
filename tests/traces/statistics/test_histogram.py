"""Percentiles of histograms are those of the durations, to the width of a bucket."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from traces.statistics.histogram import WIDTH, bucket_of, middle_of, percentile
from traces.statistics.tally import Tally

durations = st.lists(st.integers(0, 10**9), min_size=1, max_size=300)


def tally_of(values: list[int]) -> Tally:
    return Tally(
        count=len(values),
        sum_ms=sum(values),
        min_ms=min(values),
        max_ms=max(values),
        histogram=Counter(map(bucket_of, values)),
    )


@given(durations, st.floats(0, 1))
def test_a_percentile_is_the_exact_one_to_the_width_of_a_bucket(
    values: list[int], share: float
) -> None:
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    found = tally_of(values).percentile_ms(share)
    assert found is not None and min(values) <= found <= max(values)
    assert abs(found - exact) <= exact * (WIDTH - 1)


@given(durations, durations)
def test_what_is_added_up_is_what_all_would_have_been(one: list[int], other: list[int]) -> None:
    added = tally_of(one)
    added.add(tally_of(other))
    assert added == tally_of(one + other)


@given(durations)
def test_nothing_added_changes_nothing(values: list[int]) -> None:
    added = Tally()
    added.add(tally_of(values))
    added.add(Tally())
    assert added == tally_of(values)


@given(st.integers(1, 10**12))
def test_a_duration_is_in_the_bucket_around_it(duration: int) -> None:
    assert 1 / WIDTH <= middle_of(bucket_of(duration)) / duration <= WIDTH
    assert bucket_of(duration) <= bucket_of(duration + 1)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile({}, 0.5, low=0, high=0) is None
    assert Tally().percentile_ms(0.5) is None and Tally().avg_ms is None
