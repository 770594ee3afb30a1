"""Limits for one client."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved up. A rate of 0 sets no limit."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled_at = time.monotonic()

    def take(self) -> bool:
        """Takes a token; False if there is none."""
        if not self._rate:
            return True
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def wait_s(self) -> float:
        """Seconds after which there is a token again, as of the last `take`."""
        return max(0.0, (1 - self._tokens) / self._rate) if self._rate else 0.0


REMEMBERED = 10_000
"""Buckets that `Buckets` keeps; a full one and a forgotten one are the same."""


class Buckets:
    """A bucket for each name that takes tokens. Of more than `REMEMBERED` the oldest is forgotten.

    `take` may be called from several threads.
    """

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, int, TokenBucket]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str, rate: float, burst: int) -> float:
        """Takes a token; 0, or the seconds after which there is one. See `TokenBucket`."""
        with self._lock:
            kept = self._buckets.pop(name, None)
            # A setting may have changed.
            bucket = kept[2] if kept and kept[:2] == (rate, burst) else TokenBucket(rate, burst)
            self._buckets[name] = (rate, burst, bucket)
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
            return 0.0 if bucket.take() else bucket.wait_s


class AddressLimit:
    """Counts the open connections of each address."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def has_room(self, address: str, limit: int) -> bool:
        """Whether the address has fewer than `limit` connections open (0: no limit)."""
        return not limit or self._open[address] < limit

    def enter(self, address: str) -> None:
        self._open[address] += 1

    def leave(self, address: str) -> None:
        """Does nothing for an address that has none open."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


class Seldom:
    """Which of many equal log lines are written: some at once, then one every `pause_s` seconds."""

    def __init__(self, pause_s: float = 10.0, at_once: int = 5) -> None:
        self._bucket = TokenBucket(1 / pause_s, at_once)
        self._left_out = 0

    def take(self) -> int | None:
        """None: do not write this line. Else the number of lines left out since the last one."""
        if not self._bucket.take():
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return left_out
