"""What is in hand is spent once, and not after its time."""

from __future__ import annotations

import pytest

from agents.limits import hand as module
from agents.limits.hand import Hand


def test_what_was_granted_is_spent_and_then_nothing_is_known() -> None:
    hand = Hand()
    hand.keep("ada", 2, until=60.0)
    assert [hand.take("ada", 1.0) for _ in range(3)] == [0, 0, None]
    assert hand.take("eve", 1.0) is None


def test_what_is_not_spent_in_time_is_gone() -> None:
    hand = Hand()
    hand.keep("ada", 2, until=60.0)
    assert hand.take("ada", 60.0) is None


def test_who_has_none_left_is_told_when_to_come_again() -> None:
    hand = Hand()
    hand.keep("ada", 0, until=60.0)
    assert hand.take("ada", 0.5) == 60
    assert hand.take("ada", 60.0) is None


@pytest.mark.parametrize("left", [0, 2])
def test_what_is_given_back_can_be_taken_once_more(left: int) -> None:
    hand = Hand()
    hand.keep("ada", left, until=60.0)
    hand.give_back("ada", 1.0, until=61.0)
    taken = [hand.take("ada", 2.0) for _ in range(left + 2)]
    assert taken == [*[0] * (left + 1), None]


def test_what_is_given_back_after_the_rest_has_expired_comes_alone() -> None:
    hand = Hand()
    hand.keep("ada", 2, until=60.0)
    hand.give_back("ada", 61.0, until=120.0)
    assert [hand.take("ada", 62.0) for _ in range(2)] == [0, None]


def test_only_so_many_names_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    hand = Hand()
    for name in "abc":
        hand.keep(name, 1, until=60.0)
    assert [hand.take(name, 1.0) for name in "abc"] == [None, 0, 0]
