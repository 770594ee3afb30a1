"""CPU time of another process, to the nanosecond. Linux only."""

from __future__ import annotations

import ctypes
import os
import time

_libc = ctypes.CDLL(None, use_errno=True)


class CpuClock:
    """Counts what all threads of a process use, user and system; not its children.

    Raises `ProcessLookupError` if there is no such process.
    """

    def __init__(self, pid: int) -> None:
        clock = ctypes.c_int()
        # The kernel's own clock of the process: /proc counts in steps of 10 ms.
        if error := _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
            raise ProcessLookupError(error, os.strerror(error))
        self._clock = clock.value

    def seconds(self) -> float:
        """CPU seconds used so far. Raises `OSError` once the process is gone."""
        return time.clock_gettime(self._clock)
