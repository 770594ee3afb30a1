"""The length of a time, as the protocol has it."""

from __future__ import annotations

from datetime import datetime


def ms_between(begin: datetime, end: datetime) -> int:
    """Whole milliseconds; 0 if the clock was set back meanwhile."""
    return max(0, round((end - begin).total_seconds() * 1000))
