"""The ids of spans: 16 hexadecimal digits, as OpenTelemetry has them. No I/O.

They are derived from what a span is about, so that whoever writes of it finds the same id.
"""

from __future__ import annotations

from hashlib import blake2b


def think_id(run_id: str, step: int, attempt: int) -> str:
    """The id of the model's reply in a step."""
    return _digest(f"{run_id}/think/{step}/{attempt}")


def tool_id(run_id: str, step_id: str, attempt: int) -> str:
    """The id of a tool call's work."""
    return _digest(f"{run_id}/tool/{step_id}/{attempt}")


def trace_id(run_id: str) -> str:
    """As short a name for a run."""
    return _digest(run_id)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
