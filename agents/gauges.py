"""What a runner measures of itself for its report: turns, and how late its event loop is."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

MINUTE_S = 60.0
RECENT_S = 300.0
"""Seconds of turns that the 95th percentile is about."""

MOST_TURNS = 5000
"""Turns that are remembered; a busier runner reports on its newest ones."""

LAG_SAMPLE_S = 0.5


class Gauges:
    """Its methods belong to the event loop."""

    def __init__(self) -> None:
        self._turns: deque[tuple[float, int]] = deque(maxlen=MOST_TURNS)
        self._lag_ms = 0.0

    def note_turn(self, duration_ms: int) -> None:
        self._turns.append((time.monotonic(), duration_ms))

    async def watch_lag(self) -> None:
        """One sample: how much later than asked the loop came back."""
        began = time.perf_counter()
        await asyncio.sleep(LAG_SAMPLE_S)
        late_ms = (time.perf_counter() - began - LAG_SAMPLE_S) * 1000
        self._lag_ms = max(self._lag_ms, late_ms)

    def report(self) -> dict[str, Any]:
        """`loop_lag_ms`: the worst since the last report."""
        now = time.monotonic()
        while self._turns and now - self._turns[0][0] > RECENT_S:
            self._turns.popleft()
        durations = sorted(duration for _, duration in self._turns)
        lag_ms, self._lag_ms = self._lag_ms, 0.0
        return {
            "turns_per_minute": sum(now - at <= MINUTE_S for at, _ in self._turns),
            "turn_p95_ms": durations[int(len(durations) * 0.95)] if durations else None,
            "loop_lag_ms": round(lag_ms, 1),
        }
