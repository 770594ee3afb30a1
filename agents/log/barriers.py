"""Points at which a crash test can stop the log's writer: before, in and after a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from agents.log.writes import Write
from agents.runtime import barriers


def reach(side: Literal["before", "within", "after"], writes: Sequence[Write]) -> None:
    """Stops forever if MYAGENT_BARRIER names this point for one of the entries."""
    if barriers.is_set():
        barriers.reach(f"{side} {entry.event}" for write in writes for entry in write.entries)
