"""Collects the spans that a tool's code makes with OpenTelemetry.

Only the agent's file decides whether OpenTelemetry is used: nothing of it is imported here before.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec

from myagent.inner_spans import InnerSpans, RunPlace

logger = logging.getLogger(__name__)

_place: ContextVar[RunPlace | None] = ContextVar("run_place", default=None)


def enter(place: RunPlace) -> None:
    """From now on this task, and the tasks and threads that it starts, work for that run."""
    _place.set(place)


@contextmanager
def collecting(step_id: str) -> Iterator[InnerSpans]:
    """Once it is left, it has the spans that ended while the tool call `step_id` was at work.

    They are children of its span, as are those of services that it calls with the current context.
    """
    place = _place.get()
    # A server of an older version does not say which run it is.
    recording = _recording() if place is not None and place.run_id else None
    if place is None or recording is None:
        yield InnerSpans()
        return
    with recording(place, step_id) as spans:
        yield spans


def _recording() -> Callable[[RunPlace, str], AbstractContextManager[InnerSpans]] | None:
    """None where no spans are made: OpenTelemetry is not used, or only its interface is there."""
    if "opentelemetry.trace" not in sys.modules or not _has_sdk():
        return None
    try:
        from myagent import open_telemetry

        return open_telemetry.collecting if open_telemetry.is_listening() else None
    except Exception:
        # Another version of it, or a provider of the agent's own: its tools work without.
        logger.exception("spans_not_collected")
        return None


@cache
def _has_sdk() -> bool:
    return find_spec("opentelemetry.sdk") is not None
