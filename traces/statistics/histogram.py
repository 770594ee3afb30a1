"""Durations counted on a logarithmic scale. No I/O.

A histogram is `{bucket: count}`. Each bucket is 5 % wide, so that sums of histograms tell
percentiles to that width, whatever the durations are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

Histogram = Mapping[int, int]

WIDTH = 1.05
LOG_WIDTH = math.log(WIDTH)


def bucket_of(duration_ms: int) -> int:
    """0 holds 0 ms, and n what is from `WIDTH ** (n - 1)` up to below `WIDTH ** n` ms."""
    return 0 if duration_ms <= 0 else math.floor(math.log(duration_ms) / LOG_WIDTH) + 1


def middle_of(bucket: int) -> float:
    """Milliseconds that are at most half of `WIDTH` away from everything in the bucket."""
    return 0.0 if bucket <= 0 else WIDTH ** (bucket - 0.5)


def percentile(histogram: Histogram, share: float, *, low: int, high: int) -> float | None:
    """The duration that `share` (0 to 1) of all do not exceed, in milliseconds; None of none.

    `low` and `high`: the least and the greatest of them, which it keeps within.
    """
    total = sum(histogram.values())
    if not total:
        return None
    rank, seen = max(1, math.ceil(share * total)), 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= rank:
            break
    return min(max(middle_of(bucket), float(low)), float(high))
