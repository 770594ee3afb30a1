"""What a server measures of itself and of each service."""

from __future__ import annotations

import time

import pytest

from agents.sessions import gauges
from agents.sessions.gauges import LAG_SAMPLE_S, MOST_SAMPLES, Gauges, LoopLag, samples_of


def test_turns_are_counted_and_the_slow_ones_show() -> None:
    measured = Gauges()
    for duration_ms in [*range(1, 100), 5000]:
        measured.note_turn(duration_ms)
    report = measured.report()
    assert report["turns_per_minute"] == 100
    assert report["turn_p95_ms"] == 96


def test_without_turns_there_is_no_percentile() -> None:
    assert Gauges().report()["turn_p95_ms"] is None


def test_old_turns_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Gauges()
    measured.note_turn(10)
    later = time.monotonic() + gauges.MINUTE_S + 1
    monkeypatch.setattr(gauges.time, "monotonic", lambda: later)
    report = measured.report()
    assert report["turns_per_minute"] == 0
    assert report["turn_p95_ms"] == 10
    monkeypatch.setattr(gauges.time, "monotonic", lambda: later + gauges.RECENT_S)
    assert measured.report()["turn_p95_ms"] is None


async def test_a_blocked_loop_shows_as_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(gauges, "LAG_SAMPLE_S", 0.01)
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251 - that is the point
    await watching
    assert lag.worst_ms() >= 30
    assert lag.worst_ms() == 0


def test_a_lag_counts_for_as_long_as_it_was() -> None:
    """Blocked for ten seconds of twenty, half of the samples are late."""
    assert list(samples_of(0.01)) == [0.01]
    blocked_s = 10.0
    samples = list(samples_of(blocked_s))
    assert len(samples) == 1 + blocked_s / LAG_SAMPLE_S
    assert max(samples) == blocked_s
    assert len(list(samples_of(1e9))) == 1 + MOST_SAMPLES
