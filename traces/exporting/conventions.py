"""A trace and its spans under the names of OpenTelemetry's conventions for generative AI. No I/O.

https://github.com/open-telemetry/semantic-conventions-genai/tree/main/docs/gen-ai
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from myagent import exact_json, span_ids
from myagent.span_ids import TraceParent
from traces.exporting import texts
from traces.models import Span, Trace
from traces.reading.contents import Contents
from traces.reading.describing import cost_of, parents_among
from traces.recording.writing import UNKNOWN_MODEL

Attribute = str | int | float | bool

FAILED_RUNS = (Trace.Status.FAILED, Trace.Status.TIMED_OUT)

FAILED_STEPS = (Span.Status.ERROR, Span.Status.CUT_OFF, Span.Status.UNKNOWN)

OTHER = "_OTHER"
"""The `error.type` of what has no name."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A span as it is sent. `error`: None unless it failed; may be ''."""

    span_id: str
    parent_id: str
    name: str
    kind: Literal["internal", "client"]
    started_at: datetime
    ended_at: datetime
    attributes: dict[str, Attribute] = field(default_factory=dict)
    error: str | None = None
    is_below_client: bool = False


def spans_of(
    trace: Trace, spans: Sequence[Span], contents: Mapping[str, Contents], currency: str
) -> list[Sent]:
    """The run, its steps and the parts of their work; `spans` are all of the trace."""
    top = _run(trace)
    tree = Tree(trace, spans, top.span_id)
    nothing = Contents()
    below = [
        Sent(
            span.span_id,
            tree.parent_of(span),
            _name(span),
            "client" if span.kind == Span.Kind.THINK else "internal",
            span.started_at,
            _end(span, top),
            _attributes(trace, span, contents.get(span.span_id, nothing), currency),
            _error(span),
        )
        for span in spans
    ]
    return [top, *below]


class Tree:
    """Which span is below which: all are below the run."""

    def __init__(self, trace: Trace, spans: Sequence[Span], top_id: str) -> None:
        self._run_id, self._top_id = trace.pk, top_id
        self._parents = parents_among(spans)
        self._known = {span.span_id for span in spans}

    def parent_of(self, span: Span) -> str:
        parent = self._parents.get(span.span_id, "")
        if parent not in self._known and span.kind == Span.Kind.WORK:
            # One that was not kept: its tool is above it as well.
            parent = span_ids.tool_id(self._run_id, span.step_id, span.attempt)
        return parent if parent in self._known else self._top_id


def _run(trace: Trace) -> Sent:
    client = TraceParent.parse(trace.traceparent)
    has_failed = trace.status in FAILED_RUNS
    attributes: dict[str, Attribute] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": trace.agent or trace.service,
        "gen_ai.conversation.id": trace.session_id,
        "session.id": trace.session_id,
        "myagent.run.id": trace.pk,
        "myagent.run.status": str(trace.status),
        "myagent.run.attempts": trace.attempts,
        "myagent.service": trace.service,
    }
    if has_failed:
        attributes["error.type"] = trace.error_type or OTHER
    if trace.request:
        attributes["gen_ai.input.messages"] = texts.said("user", trace.request)
    if trace.answer:
        answer = texts.said("assistant", trace.answer, finish_reason="stop")
        attributes["gen_ai.output.messages"] = answer
    return Sent(
        span_ids.run_span_id(trace.pk),
        "" if client is None else client.span_id,
        f"invoke_agent {trace.agent or trace.service}",
        "internal",
        trace.started_at,
        max(trace.started_at, trace.ended_at or trace.started_at),
        attributes,
        trace.error if has_failed else None,
        client is not None,
    )


def _name(span: Span) -> str:
    match span.kind:
        case Span.Kind.THINK:
            return f"chat {span.name}"
        case Span.Kind.TOOL:
            return f"execute_tool {span.name}"
    return span.name


def _end(span: Span, top: Sent) -> datetime:
    if span.duration_ms is not None and span.ended_at is None:
        return span.started_at + timedelta(milliseconds=span.duration_ms)
    return max(span.started_at, span.ended_at or top.ended_at)


def _error(span: Span) -> str | None:
    return span.error if span.status in FAILED_STEPS else None


def _attributes(
    trace: Trace, span: Span, contents: Contents, currency: str
) -> dict[str, Attribute]:
    found: dict[str, Attribute]
    match span.kind:
        case Span.Kind.THINK:
            found = _of_reply(trace, span, contents, currency)
        case Span.Kind.TOOL:
            found = _of_tool(span, contents)
        case _:
            found = _own(span)
    if _error(span) is not None:
        found.setdefault("error.type", _error_type(trace, span))
    return found | {"myagent.status": str(span.status), "myagent.attempt": span.attempt}


def _error_type(trace: Trace, span: Span) -> str:
    if span.status != Span.Status.ERROR:
        return str(span.status)
    if span.kind == Span.Kind.THINK:
        return trace.error_type or OTHER
    return "tool_error" if span.kind == Span.Kind.TOOL else OTHER


def _of_reply(trace: Trace, span: Span, contents: Contents, currency: str) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.conversation.id": trace.session_id,
        "gen_ai.agent.name": trace.agent or trace.service,
        "myagent.step": span.step,
    }
    if span.name != UNKNOWN_MODEL:
        found["gen_ai.request.model"] = span.name
    if span.status == Span.Status.SUCCESS:
        found["gen_ai.usage.input_tokens"] = span.prompt_tokens
        found["gen_ai.usage.output_tokens"] = span.completion_tokens
    if span.cached_tokens:
        found["gen_ai.usage.cache_read.input_tokens"] = span.cached_tokens
    if span.reasoning_tokens:
        found["gen_ai.usage.reasoning.output_tokens"] = span.reasoning_tokens
    if span.first_token_ms is not None:
        found["gen_ai.response.time_to_first_chunk"] = span.first_token_ms / 1000
    cost = cost_of(span)
    if cost is not None:
        found |= {"myagent.cost": cost, "myagent.currency": currency}
    if contents.inputs is not None:
        found["gen_ai.input.messages"] = texts.given(contents.inputs["messages"])
    if contents.outputs is not None:
        found["gen_ai.output.messages"] = texts.came(contents.outputs)
    return found


def _of_tool(span: Span, contents: Contents) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": span.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": span.step_id,
        "myagent.step": span.step,
    }
    found |= _own(span)
    if contents.inputs is not None:
        found["gen_ai.tool.call.arguments"] = texts.value(contents.inputs["args"])
    if contents.outputs is not None:
        found["gen_ai.tool.call.result"] = texts.value(contents.outputs["result"])
    return found


def _own(span: Span) -> dict[str, Attribute]:
    """What the tool's code said, or is said of a tool."""
    return dict(exact_json.loads(span.attributes)) if span.attributes else {}
