"""Spans that code inside a tool makes with OpenTelemetry, for the trace of its run.

Only the agent's file decides whether OpenTelemetry is used: nothing of it is imported here before.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Literal

logger = logging.getLogger(__name__)

Scalar = str | int | float | bool

MOST_SPANS = 200
"""Of one tool call; later ones are left out."""

MOST_NAME = 200
MOST_ERROR = 500
MOST_ATTRIBUTES = 32
MOST_KEY = 100
MOST_VALUE = 1000
"""Characters; the beginnings of longer texts are kept."""

MOST_ATTRIBUTE_CHARACTERS = 64 * 1024
"""Of all attributes of one tool call; spans that end later keep none."""


@dataclass(frozen=True, slots=True)
class InnerSpan:
    """`parent_id` is that of another inner span; '' if it belongs to the tool itself.

    `offset_ms`: from the start of the tool to that of the span.
    """

    span_id: str
    parent_id: str
    name: str
    offset_ms: float
    duration_ms: float
    status: Literal["success", "error"] = "success"
    error: str = ""
    attributes: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Which run the current code works for. `traceparent`: as its client gave it; may be ''."""

    run_id: str
    attempt: int
    traceparent: str


_place: ContextVar[RunPlace | None] = ContextVar("run_place", default=None)


def enter(place: RunPlace) -> None:
    """From now on this task, and the tasks and threads that it starts, work for that run."""
    _place.set(place)


@contextmanager
def collecting(step_id: str) -> Iterator[list[InnerSpan]]:
    """The list fills with the spans that end while the tool call `step_id` is at work.

    They are children of its span, as are those of services that it calls with the current context.
    """
    place = _place.get()
    # A server of an older version does not say which run it is.
    recording = _recording() if place is not None and place.run_id else None
    if place is None or recording is None:
        yield []
        return
    with recording(place, step_id) as spans:
        yield spans


def _recording() -> Callable[[RunPlace, str], AbstractContextManager[list[InnerSpan]]] | None:
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
