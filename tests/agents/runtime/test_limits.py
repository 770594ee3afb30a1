"""How much one client may ask for."""

from __future__ import annotations

import pytest

from agents.runtime import limits
from agents.runtime.limits import AddressLimit, Seldom, TokenBucket


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in its only element."""
    now = [100.0]
    monkeypatch.setattr(limits.time, "monotonic", lambda: now[0])
    return now


def taken(bucket: TokenBucket, attempts: int) -> int:
    return sum(bucket.take() for _ in range(attempts))


def test_a_burst_is_allowed_once_and_then_the_rate(clock: list[float]) -> None:
    bucket = TokenBucket(rate=10, burst=20)
    assert taken(bucket, 50) == 20
    clock[0] += 0.5
    assert taken(bucket, 50) == 5


def test_what_is_saved_up_never_exceeds_the_burst(clock: list[float]) -> None:
    bucket = TokenBucket(rate=10, burst=20)
    clock[0] += 3600
    assert taken(bucket, 50) == 20


def test_a_rate_of_zero_sets_no_limit(clock: list[float]) -> None:
    assert taken(TokenBucket(rate=0, burst=1), 1000) == 1000


def test_an_address_has_room_until_its_connections_are_used_up() -> None:
    addresses = AddressLimit()
    for _ in range(2):
        assert addresses.has_room("here", 2)
        addresses.enter("here")
    assert not addresses.has_room("here", 2)
    assert addresses.has_room("there", 2)
    assert addresses.has_room("here", 0), "0 sets no limit"
    addresses.leave("here")
    assert addresses.has_room("here", 2)


def test_an_address_that_left_is_forgotten() -> None:
    addresses = AddressLimit()
    addresses.enter("here")
    addresses.leave("here")
    assert not addresses._open


def test_of_many_equal_log_lines_some_are_written_and_the_rest_is_counted(
    clock: list[float],
) -> None:
    lines = Seldom(pause_s=10, at_once=2)
    assert [lines.take() for _ in range(5)] == [0, 0, None, None, None]
    clock[0] += 10
    assert [lines.take() for _ in range(2)] == [3, None]
