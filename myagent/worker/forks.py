"""What children that agent code forks must not keep.

A connection that a child holds as well would look alive to its other end after
the worker's death.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet


class _Descriptor(Protocol):
    def fileno(self) -> int: ...


_ours: WeakSet[_Descriptor] = WeakSet()
_is_watching = False


def leave_to_parent(descriptor: _Descriptor) -> None:
    """From now on a forked child has nothing in this socket's place."""
    global _is_watching
    _ours.add(descriptor)
    if not _is_watching:
        _is_watching = True
        os.register_at_fork(after_in_child=_let_go)


def _let_go() -> None:
    # Not closed: the child's objects would close, later, whatever has the number then.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in list(_ours):
        with suppress(OSError):  # It was closed already.
            os.dup2(nothing, descriptor.fileno(), inheritable=False)
    os.close(nothing)
