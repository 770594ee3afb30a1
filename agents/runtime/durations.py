"""The length of a time."""

from __future__ import annotations

from datetime import UTC, datetime


def ms_between(begin: datetime, end: datetime) -> int:
    """Whole milliseconds; 0 if the clock was set back meanwhile."""
    return max(0, round((end - begin).total_seconds() * 1000))


def seconds_since(begin: datetime) -> float:
    """0 if this machine's clock is behind that of `begin`."""
    return max(0.0, (datetime.now(UTC) - begin).total_seconds())
