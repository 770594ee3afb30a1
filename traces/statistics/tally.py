"""What is counted of operations, and how counts add up. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from traces.statistics.histogram import Histogram, percentile


class Operation(NamedTuple):
    """`model`: of the run's agent, for tools too."""

    service: str
    kind: str
    name: str
    model: str


@dataclass(slots=True)
class Tally:
    """Of spans that have ended. Durations are of those that were measured: not of what was cut off,
    or under way when its run ended. `cost_nano`: None if nothing has a price.
    """

    count: int = 0
    errors: int = 0
    sum_ms: int = 0
    min_ms: int | None = None
    max_ms: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_nano: int | None = None
    histogram: Counter[int] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        self.count += other.count
        self.errors += other.errors
        self.sum_ms += other.sum_ms
        self.min_ms = _chosen(min, self.min_ms, other.min_ms)
        self.max_ms = _chosen(max, self.max_ms, other.max_ms)
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        if other.cost_nano is not None:
            self.cost_nano = (self.cost_nano or 0) + other.cost_nano
        self.histogram.update(other.histogram)

    @property
    def avg_ms(self) -> float | None:
        measured = self.histogram.total()
        return self.sum_ms / measured if measured else None

    def percentile_ms(self, share: float) -> float | None:
        if self.min_ms is None or self.max_ms is None:
            return None
        counts: Histogram = self.histogram
        return percentile(counts, share, low=self.min_ms, high=self.max_ms)


class Counted(NamedTuple):
    """What one operation did in the hour or day from `start` on, or in a part of it."""

    start: datetime
    operation: Operation
    tally: Tally


def _chosen(choose: Callable[[list[int]], int], one: int | None, other: int | None) -> int | None:
    present = [each for each in (one, other) if each is not None]
    return choose(present) if present else None
