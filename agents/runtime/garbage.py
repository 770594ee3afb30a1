"""Makes full garbage collections rare, so that sockets and other lasting objects are not rescanned.

By default Python scans all objects whenever the old generation has grown by a quarter, and
everything else stops meanwhile: for half a second with six thousand sockets, again and again while
they connect. It finds little: sockets and runs leave no reference cycles, and sessions only small
ones.
"""

from __future__ import annotations

import atexit
import gc

LEAST = 20
"""Number of young collections (one per some 7,000 new objects) between two full ones."""

SOCKETS_A_LOOK = 30
"""A socket with its session is less than a 30th of those 7,000 objects. So connecting sockets
alone never bring about a full collection, and garbage is at most about twice the live objects.
"""

_NEVER = 1_000_000_000

USUAL = gc.get_threshold()
IMPORTED = 250_000
"""New objects between two young collections while a program starts."""


class SeldomCollected:
    """Controls the process's garbage collector from `begin` to `end`."""

    def __init__(self) -> None:
        self._threshold: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """Objects that exist now are never scanned again. May be called twice."""
        if self._threshold is None:
            collect_as_usual()
            self._threshold = gc.get_threshold()
            gc.freeze()
            # The young generation is collected as usual.
            gc.set_threshold(*self._threshold[:2], _NEVER)

    def look(self, sockets: int) -> None:
        """Collects all generations if a collection is due, given the number of open sockets."""
        if self._threshold is not None and is_due(gc.get_count()[2], sockets):
            gc.collect()

    def end(self) -> None:
        """Restores Python's own behaviour. May be called twice."""
        if self._threshold is not None:
            gc.set_threshold(*self._threshold)
            gc.unfreeze()
            self._threshold = None


def is_due(young_looks: int, sockets: int) -> bool:
    """Whether a full collection is due, given the number of young ones since the last."""
    return young_looks >= LEAST + sockets // SOCKETS_A_LOOK


def collect_less() -> None:
    """Until `collect_as_usual`: what a program makes while it starts is next to never garbage.

    Looking for some takes a tenth of a command's start.
    """
    gc.set_threshold(IMPORTED, *USUAL[1:])


def collect_as_usual() -> None:
    gc.set_threshold(*USUAL)


def leave_to_system() -> None:
    """At this process's exit, Python does not search its memory for garbage.

    Searching takes a quarter of a short command's time, and the system frees everything anyway.
    Objects outside of reference cycles are destroyed as usual; `__del__` of those in cycles is not
    called, which Python does not promise at exit.
    """
    atexit.register(gc.freeze)
