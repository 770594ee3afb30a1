"""Spans that code inside a tool makes with OpenTelemetry, for the trace of its run. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Scalar = str | int | float | bool

MOST_SPANS = 200
"""Of one tool call. Beyond them the innermost are left out, of those the last to end: what is kept
has all that is above it.
"""

MOST_NAME = 200
MOST_ERROR = 500
MOST_ATTRIBUTES = 32
MOST_KEY = 100
MOST_VALUE = 1000
"""Characters; the beginnings of longer texts are kept."""

MOST_ATTRIBUTE_CHARACTERS = 64 * 1024
"""Of all attributes of one tool call; a span whose own find no room keeps none."""


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


@dataclass(slots=True)
class InnerSpans:
    """Those of one tool call, parents first. `left_out`: how many more had ended."""

    kept: list[InnerSpan] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Which run the current code works for. `traceparent`: as its client gave it; may be ''."""

    run_id: str
    attempt: int
    traceparent: str
