"""What a process has in hand of counts that all servers share: it asks no more until that is spent.

No I/O. Times are those of one clock, in seconds.
"""

from __future__ import annotations

import math
from collections import OrderedDict

REMEMBERED = 10_000
"""Names that are remembered; others are asked about once more."""


class Hand:
    """How many were granted of each name, or that none is left, and until when."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def take(self, name: str, now: float) -> int | None:
        """0: there was one; else the seconds after which there is one again; None: not known."""
        left, until = self._left.get(name, (0, 0.0))
        if now >= until:
            return None
        if not left:
            return math.ceil(until - now)
        self._left[name] = left - 1, until if left > 1 else now
        return 0

    def keep(self, name: str, left: int, until: float) -> None:
        """`left`: how many were granted until then; 0: none will be."""
        self._left.pop(name, None)
        self._left[name] = left, until
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)

    def give_back(self, name: str, now: float, until: float) -> None:
        """One that was taken is not needed; by itself it may be spent until then."""
        left, known_until = self._left.get(name, (0, 0.0))
        if left and now < known_until:
            self.keep(name, left + 1, known_until)
        else:
            self.keep(name, 1, until)
