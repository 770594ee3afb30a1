"""`data` of the messages about one span. No I/O."""

from __future__ import annotations

from typing import Any

from myagent.protocol import timestamp, timestamp_or_none
from traces.models import Span, Trace
from traces.reading.contents import Contents
from traces.reading.describing import cost_of, duration_ms, parts_left_out, usage_of

Json = dict[str, Any]


def started_data(trace: Trace, span: Span, parent: str | None) -> Json:
    """It has begun, or waits for somebody."""
    is_waiting = span.status == Span.Status.WAITING
    status = Span.Status.WAITING if is_waiting else Span.Status.RUNNING
    return _named(trace, span, parent) | {
        "status": status,
        "start_time": timestamp(span.started_at),
        "metadata": _place(span),
    }


def completed_data(
    trace: Trace, span: Span, parent: str | None, contents: Contents
) -> tuple[Json, Json]:
    """It has ended: what anybody may see, and what was said."""
    data = _named(trace, span, parent) | {
        "status": span.status,
        "start_time": timestamp(span.started_at),
        "end_time": timestamp_or_none(span.ended_at),
        "duration_ms": duration_ms(span),
        "error_type": _error_type(trace, span),
        "metadata": _place(span) | _measured(trace, span),
    }
    said: Json = {"inputs": contents.inputs, "outputs": contents.outputs}
    # What a tool says of its failure is its result; other sentences are the site's own.
    (said if span.end_seq else data)["error"] = span.error or None
    return data, said


def _named(trace: Trace, span: Span, parent: str | None) -> Json:
    return {
        "run_id": span.span_id,
        "trace_id": trace.pk,
        "parent_run_id": parent,
        "name": span.name,
        "run_type": span.kind,
    }


def _place(span: Span) -> Json:
    return {"step": span.step, "attempt": span.attempt, "step_id": span.step_id or None}


def _measured(trace: Trace, span: Span) -> Json:
    if span.kind == Span.Kind.TOOL:
        return {"parts_left_out": count} if (count := parts_left_out(span)) else {}
    return {
        "model": trace.model,
        "first_token_ms": span.first_token_ms,
        "usage": usage_of(span),
        "cost": cost_of(span),
    }


def _error_type(trace: Trace, span: Span) -> str | None:
    if span.status != Span.Status.ERROR:
        return None
    if span.kind == Span.Kind.TOOL and span.end_seq:
        return "tool_error"
    return trace.error_type or "timeout"
