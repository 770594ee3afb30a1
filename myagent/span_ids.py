"""The ids of traces and spans: 32 and 16 hexadecimal digits, as OpenTelemetry has them. No I/O.

They are derived from what a span is about, so that whoever writes of it finds the same id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})"
    r"-[0-9a-f]{2}(?:-.*)?",
    re.DOTALL,
)
"""W3C Trace Context, level 1, section 3.2.2; later versions may say more behind it."""


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The span of somebody else under which something happens."""

    trace_id: str
    span_id: str

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """None if it is not valid: then a trace of our own begins, as the standard demands."""
        match = TRACEPARENT.fullmatch((text or "").strip())
        return None if match is None else cls(match["trace"], match["span"])

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


def trace_id(run_id: str, traceparent: str = "") -> str:
    """The id by which OpenTelemetry knows a run's trace: its client's, else the run's own."""
    parent = TraceParent.parse(traceparent)
    return run_id.replace("-", "") if parent is None else parent.trace_id


def run_span_id(run_id: str) -> str:
    """The id of the span over all of a run."""
    return _digest(f"{run_id}/run")


def think_id(run_id: str, step: int, attempt: int) -> str:
    """The id of the model's reply in a step."""
    return _digest(f"{run_id}/think/{step}/{attempt}")


def tool_id(run_id: str, step_id: str, attempt: int) -> str:
    """The id of a tool call's work."""
    return _digest(f"{run_id}/tool/{step_id}/{attempt}")


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
