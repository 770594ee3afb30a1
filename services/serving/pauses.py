"""How soon a server process that ended is replaced. No I/O."""

from __future__ import annotations

FIRST_S = 0.5
LONGEST_S = 16.0

SETTLED_S = 60.0
"""Seconds after which the end of a process has nothing to do with those before it."""


class Pauses:
    """The pauses of one process and its successors: they double."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a process that lived so long."""
        pause_s = FIRST_S if lived_s >= SETTLED_S else self._next_s
        self._next_s = min(pause_s * 2, LONGEST_S)
        return pause_s
