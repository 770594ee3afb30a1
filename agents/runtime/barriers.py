"""Points at which a crash test can stop a process forever, in order to kill it right there."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings


def is_set() -> bool:
    return bool(settings.MYAGENT_BARRIER)


def reach(points: Iterable[str]) -> None:
    """Stops forever if MYAGENT_BARRIER names one of the points."""
    point, _, file = settings.MYAGENT_BARRIER.partition("=")
    if point and point in points:
        Path(file).touch()
        threading.Event().wait()
