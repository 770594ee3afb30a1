"""The measurements of a server: the turns of each service, and the lag of its event loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from agents import metrics

MINUTE_S = 60.0
RECENT_S = 300.0
"""Seconds of turns that the 95th percentile is about."""

MOST_TURNS = 5000
"""Number of turns that are remembered for a service; only the newest ones count."""

LAG_SAMPLE_S = 0.5

MOST_SAMPLES = 1_200
"""Samples of one lag that are counted: of ten minutes."""


class Gauges:
    """Of one service. Its methods belong to the event loop."""

    def __init__(self) -> None:
        self._turns: deque[tuple[float, int]] = deque(maxlen=MOST_TURNS)

    def note_turn(self, duration_ms: int) -> None:
        self._turns.append((time.monotonic(), duration_ms))

    def report(self) -> dict[str, Any]:
        now = time.monotonic()
        while self._turns and now - self._turns[0][0] > RECENT_S:
            self._turns.popleft()
        durations = sorted(duration for _, duration in self._turns)
        return {
            "turns_per_minute": sum(now - at <= MINUTE_S for at, _ in self._turns),
            "turn_p95_ms": durations[int(len(durations) * 0.95)] if durations else None,
        }


class LoopLag:
    """The lag of the event loop: how late a sleep ends."""

    def __init__(self) -> None:
        self._worst_ms = 0.0

    async def watch(self) -> None:
        """Takes one sample."""
        began = time.perf_counter()
        await asyncio.sleep(LAG_SAMPLE_S)
        late_ms = (time.perf_counter() - began - LAG_SAMPLE_S) * 1000
        self._worst_ms = max(self._worst_ms, late_ms)
        for lag_s in samples_of(late_ms / 1000):
            metrics.LOOP_LAG_SECONDS.observe(lag_s)

    def worst_ms(self) -> float:
        """The maximum since the last call."""
        worst_ms, self._worst_ms = self._worst_ms, 0.0
        return round(worst_ms, 1)


def samples_of(lag_s: float) -> Iterator[float]:
    """The lag, and those of the samples that it kept from being taken.

    So each sample stands for the same time, and a quantile of them is one of time: a loop that is
    blocked for half of it would have few samples that say so.
    """
    yield lag_s
    missed = min(int(lag_s / LAG_SAMPLE_S), MOST_SAMPLES)
    yield from (lag_s - number * LAG_SAMPLE_S for number in range(1, missed + 1))
