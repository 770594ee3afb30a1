"""When Python looks for garbage in cycles: seldom among what lives long, as sockets do.

By itself it looks at everything whenever what lives long has grown by a quarter,
and nothing else runs meanwhile: half a second with six thousand sockets, again
and again while they come. It finds next to nothing, since sockets and runs
leave no cycles behind when they end.
"""

from __future__ import annotations

import gc

LEAST = 20
"""Looks at the young objects between two looks at all. Each is after some 7,000 more of them."""

SOCKETS_A_LOOK = 30
"""A socket with its session is less than a 30th of those 7,000.

So it is not the coming of sockets that brings the next look at all about, and garbage
is at most some twice what lives.
"""

_NEVER = 1_000_000_000


class SeldomCollected:
    """Python's collector, which is the process's, from `begin` to `end`."""

    def __init__(self) -> None:
        self._threshold: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """What is there now is never looked at again. May be called twice."""
        if self._threshold is None:
            self._threshold = gc.get_threshold()
            gc.freeze()
            # Young objects are looked at as ever.
            gc.set_threshold(*self._threshold[:2], _NEVER)

    def look(self, sockets: int) -> None:
        """Collects everything if it is time, for a server with so many open sockets."""
        if self._threshold is not None and is_due(gc.get_count()[2], sockets):
            gc.collect()

    def end(self) -> None:
        """Leaves it to Python again. May be called twice."""
        if self._threshold is not None:
            gc.set_threshold(*self._threshold)
            gc.unfreeze()
            self._threshold = None


def is_due(young_looks: int, sockets: int) -> bool:
    """Whether to look at all objects, after so many looks at the young ones since the last time."""
    return young_looks >= LEAST + sockets // SOCKETS_A_LOOK
