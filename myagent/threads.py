"""Threads of the SDK, and whether an agent file has any."""

from __future__ import annotations

import sys
import threading
from weakref import WeakSet

_quiet: WeakSet[threading.Thread] = WeakSet()


def start_quiet(thread: threading.Thread) -> None:
    """Starts one that runs no code of an agent and imports nothing."""
    _quiet.add(thread)
    thread.start()


def is_alone() -> bool:
    """Whether no other thread can import anything now, as far as that can be seen."""
    present = threading.current_thread()
    known = threading.enumerate()
    # The frames have those, too, that the threading module did not start.
    return all(each is present or each in _quiet for each in known) and len(
        sys._current_frames()
    ) <= len(known)
