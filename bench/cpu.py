"""CPU time of other processes, to the nanosecond. Linux only."""

from __future__ import annotations

import ctypes
import os
import time

import psutil

_libc = ctypes.CDLL(None, use_errno=True)


class CpuClock:
    """Counts what all threads of a process and of its children use, user and system.

    The children are those that it has when the clock is made: a server's
    worker. Raises `ProcessLookupError` if there is no such process.
    """

    def __init__(self, pid: int) -> None:
        children = psutil.Process(pid).children(recursive=True)
        self._clocks = [_clock_of(each) for each in (pid, *(child.pid for child in children))]

    def seconds(self) -> float:
        """CPU seconds used so far. Raises `OSError` once one of them is gone."""
        return sum(map(time.clock_gettime, self._clocks))


def _clock_of(pid: int) -> int:
    clock = ctypes.c_int()
    # The kernel's own clock of the process: /proc counts in steps of 10 ms.
    if error := _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise ProcessLookupError(error, os.strerror(error))
    return clock.value
