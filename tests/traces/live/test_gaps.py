"""Whatever the order in which ids appear, none is passed over, and the low mark tells the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.live import gaps
from traces.live.gaps import PATIENCE_S, Gaps

ORDERS = st.integers(1, 40).flatmap(lambda count: st.permutations(range(1, count + 1)))


@given(ORDERS, st.lists(st.integers(1, 5), min_size=1, max_size=40))
def test_what_has_not_appeared_is_above_the_mark_or_looked_for(
    order: list[int], sizes: list[int]
) -> None:
    known, seen, at, lows = Gaps(0), set[int](), 0, [0]
    for size in (*sizes, len(order)):
        page, at = order[at : at + size], at + size
        known.note(page, 0.0)
        seen.update(page)
        missing = {id_ for first, last in known.ranges for id_ in range(first, last + 1)}
        assert missing == set(range(1, known.high + 1)) - seen
        assert known.low == min(missing, default=known.high + 1) - 1
        lows.append(known.low)
    assert lows == sorted(lows), "a cursor never goes back"
    assert known.low == known.high == max(order) and not known.ranges


def test_what_was_rolled_back_is_given_up_after_a_while() -> None:
    known = Gaps(10)
    known.note([13], 0.0)
    known.note([15], 30.0)
    assert (known.low, known.ranges) == (10, [(11, 12), (14, 14)])
    known.expire(PATIENCE_S)
    assert (known.low, known.ranges) == (13, [(14, 14)])
    known.expire(30.0 + PATIENCE_S)
    assert known.low == known.high == 15


def test_very_many_gaps_are_joined_and_none_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "MOST_GAPS", 3)
    known = Gaps(0)
    known.note(range(2, 21, 2), 0.0)
    assert len(known.ranges) == 3 and known.low == 0
    looked_for = {id_ for first, last in known.ranges for id_ in range(first, last + 1)}
    assert set(range(1, 20, 2)) <= looked_for
