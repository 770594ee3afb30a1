"""Points at which a crash test can hold the writer of the log, to kill the process right there."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from django.conf import settings

from agents.log.writes import Write


def reach(side: Literal["before", "after"], writes: Sequence[Write]) -> None:
    """Stops for good if MYAGENT_BARRIER names this side of one of the entries' commit."""
    if not settings.MYAGENT_BARRIER:
        return
    point, _, file = settings.MYAGENT_BARRIER.partition("=")
    if any(f"{side} {entry.event}" == point for write in writes for entry in write.entries):
        Path(file).touch()
        threading.Event().wait()
