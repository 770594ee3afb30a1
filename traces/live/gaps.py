"""How far the log is known, where rows may appear out of order. No I/O.

Ids are given out in order, but transactions are committed in any. An id that is missing below one
that is there belongs to a transaction that goes on, or to one that was rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PATIENCE_S = 60.0
"""Seconds after which a missing id will not appear any more: no commit takes as long."""

MOST_GAPS = 1_000
"""Gaps that are remembered; then neighbours are joined, and what lies between is read again."""


@dataclass(slots=True)
class Gap:
    """Missing ids, from `first` to `last`; noticed at `since`, in seconds of a steady clock."""

    first: int
    last: int
    since: float


class Gaps:
    """`high`: the highest id that was seen. Ids above it are yet to come."""

    def __init__(self, high: int) -> None:
        self.high = high
        self._gaps: list[Gap] = []

    @property
    def low(self) -> int:
        """Nothing can appear at or below it any more."""
        return self._gaps[0].first - 1 if self._gaps else self.high

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What is missing below `high`, both ends included."""
        return [(gap.first, gap.last) for gap in self._gaps]

    def note(self, ids: Iterable[int], now: float) -> None:
        """These were seen."""
        for each in sorted(ids):
            if each > self.high:
                if each > self.high + 1:
                    self._gaps.append(Gap(self.high + 1, each - 1, now))
                self.high = each
            else:
                self._fill(each)
        self._join()

    def expire(self, now: float) -> None:
        """Gives up what has been missing for too long."""
        self._gaps = [gap for gap in self._gaps if now - gap.since < PATIENCE_S]

    def _fill(self, seen: int) -> None:
        for at, gap in enumerate(self._gaps):
            if gap.first <= seen <= gap.last:
                parts = (Gap(gap.first, seen - 1, gap.since), Gap(seen + 1, gap.last, gap.since))
                self._gaps[at : at + 1] = [part for part in parts if part.first <= part.last]
                return

    def _join(self) -> None:
        """The oldest are joined: they may be given up first."""
        while len(self._gaps) > MOST_GAPS:
            first, second = self._gaps[:2]
            self._gaps[:2] = [Gap(first.first, second.last, second.since)]
