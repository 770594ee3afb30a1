"""Traces as JSON: the same for every door. Synchronous reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from django.conf import settings
from django.db.models import QuerySet

from agents.runtime.durations import ms_between
from myagent.protocol import timestamp, timestamp_or_none
from traces.models import NANO, NEVER_RAN, PARTS_LEFT_OUT, Span, Trace
from traces.reading.contents import Contents, contents_of
from traces.reading.feedback import feedback_json

Json = dict[str, Any]


def trace_json(trace: Trace) -> Json:
    return {
        "trace_id": trace.pk,
        "session_id": trace.session_id,
        "service": trace.service,
        "agent_name": trace.agent,
        "model": trace.model,
        "principal": trace.principal,
        "status": trace.status,
        "request": trace.request,
        "answer": trace.answer,
        "error_type": trace.error_type,
        "error": trace.error,
        "rerun_of": _origin_of(trace),
        "attempts": trace.attempts,
        "steps": trace.steps,
        "max_steps": trace.max_steps,
        "spans": trace.span_count,
        "errors": trace.error_count,
        "usage": usage_of(trace),
        "cost": cost_of(trace),
        "currency": settings.MYAGENT_CURRENCY,
        "started_at": timestamp(trace.started_at),
        "ended_at": timestamp_or_none(trace.ended_at),
        "duration_ms": trace.duration_ms,
        "feedback": feedback_json(trace),
    }


def _origin_of(trace: Trace) -> Json | None:
    """The trace and the step that it ran again from; None of a run of its own."""
    return {"trace_id": trace.rerun_of, "step": trace.rerun_step} if trace.rerun_of else None


def spans_of(trace: Trace) -> QuerySet[Span]:
    """Attempt by attempt, step by step; a reply comes before the tools that it called.

    What a run adds to its spans comes last: places stay what they are.
    """
    # The names of the kinds are in this order: `think`, `tool`, `work`.
    return trace.spans.order_by("attempt", "step", "kind", "pk")


def spans_json(trace: Trace, spans: Sequence[Span]) -> list[Json]:
    """With what went in and out, as far as the trace may show it. `spans` may be some of them."""
    contents, parents = contents_of(trace, spans), parents_of(trace, spans)
    nothing = Contents()
    return [
        _span_json(span, parents.get(span.span_id), contents.get(span.span_id, nothing))
        for span in spans
    ]


def parents_of(trace: Trace, spans: Sequence[Span]) -> dict[str, str]:
    """The parent of each span that has one: a tool belongs to the reply that called it, and a part
    of its work to the tool or to another part.
    """
    tools = {span.step for span in spans if span.kind == Span.Kind.TOOL}
    called = trace.spans.filter(kind=Span.Kind.THINK, status=Span.Status.SUCCESS, step__in=tools)
    return _parents(spans, dict(called.values_list("step", "span_id")))


def parents_among(spans: Iterable[Span]) -> dict[str, str]:
    """The same where `spans` are all of a trace."""
    replies = {
        span.step: span.span_id
        for span in spans
        if span.kind == Span.Kind.THINK and span.status == Span.Status.SUCCESS
    }
    return _parents(spans, replies)


def _parents(spans: Iterable[Span], replies: Mapping[int, str]) -> dict[str, str]:
    """`replies`: those of the model, by their step."""
    parts = {span.span_id: span.parent_id for span in spans if span.parent_id}
    tools = (span for span in spans if span.kind == Span.Kind.TOOL)
    return parts | {span.span_id: replies[span.step] for span in tools if span.step in replies}


def _span_json(span: Span, parent: str | None, contents: Contents) -> Json:
    return {
        "span_id": span.span_id,
        "trace_id": span.trace_id,
        "parent_span_id": parent,
        "kind": span.kind,
        "name": span.name,
        "status": span.status,
        "attempt": span.attempt,
        "step": span.step,
        "step_id": span.step_id or None,
        "started_at": timestamp(span.started_at),
        "ended_at": timestamp_or_none(span.ended_at),
        "duration_ms": duration_ms(span),
        "first_token_ms": span.first_token_ms,
        "usage": usage_of(span) if span.kind == Span.Kind.THINK else None,
        "cost": cost_of(span),
        "error": span.error,
        "inputs": contents.inputs,
        "outputs": contents.outputs,
        "attributes": orjson.loads(span.attributes) if span.attributes else None,
    }


def duration_ms(span: Span) -> int | None:
    """As measured; of one that was cut off, until that was noticed. None while it is open."""
    if span.duration_ms is not None or span.ended_at is None:
        return span.duration_ms
    return ms_between(span.started_at, span.ended_at)


def parts_left_out(span: Span) -> int:
    """Of a tool: parts of its work that there were besides those that are kept."""
    count: int = _of_tool(span).get(PARTS_LEFT_OUT, 0)
    return count


def never_ran(span: Span) -> bool:
    """A tool: nobody agreed to it."""
    return span.status == Span.Status.DECLINED or NEVER_RAN in _of_tool(span)


def _of_tool(span: Span) -> Json:
    if span.kind != Span.Kind.TOOL or not span.attributes:
        return {}
    found: Json = orjson.loads(span.attributes)
    return found


def usage_of(row: Trace | Span) -> Json:
    return {
        "prompt_tokens": row.prompt_tokens,
        "cached_tokens": row.cached_tokens,
        "completion_tokens": row.completion_tokens,
        "reasoning_tokens": row.reasoning_tokens,
    }


def cost_of(row: Trace | Span) -> float | None:
    return None if row.cost_nano is None else row.cost_nano / NANO
