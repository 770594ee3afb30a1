"""When a socket's frames are too many, or too often of no use."""

from __future__ import annotations

from agents.runtime.limits import TokenBucket
from agents.sockets.strictness import MOST_BAD_FRAMES, MOST_REFUSED_FRAMES, Strictness

NEVER_AGAIN = 1e-9
"""A rate at which no test sees a second frame within the limit."""


def test_the_third_frame_in_a_row_that_is_no_event_is_one_too_many() -> None:
    strictness = Strictness(TokenBucket(0, 1))
    assert [strictness.bears(is_frame_error=True) for _ in range(MOST_BAD_FRAMES)] == [
        *([True] * (MOST_BAD_FRAMES - 1)),
        False,
    ]


def test_a_usable_frame_and_one_that_only_makes_no_sense_begin_the_count_anew() -> None:
    strictness = Strictness(TokenBucket(0, 1))
    for _ in range(MOST_BAD_FRAMES):
        assert strictness.bears(is_frame_error=True)
        strictness.note_usable()
        assert strictness.bears(is_frame_error=True)
        assert strictness.bears(is_frame_error=False)


def test_a_flood_is_what_is_above_the_limit_less_what_is_within_it() -> None:
    strictness = Strictness(TokenBucket(NEVER_AGAIN, 1))
    assert strictness.is_within_rate()
    for _ in range(MOST_REFUSED_FRAMES):
        assert not strictness.is_within_rate()
    assert not strictness.is_flooded
    limited, strictness.rate = strictness.rate, TokenBucket(0, 1)
    assert strictness.is_within_rate()
    strictness.rate = limited
    assert not strictness.is_within_rate()
    assert not strictness.is_flooded
    assert not strictness.is_within_rate()
    assert strictness.is_flooded
