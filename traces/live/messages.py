"""A trace as the messages of the trace dialect. No I/O.

The same rows give the same messages with the same ids, whoever renders them and when. So a trace
may be told again, by this server or another one, and its reader knows what it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson

from agents.sentences import say
from myagent import span_ids
from myagent.protocol import timestamp
from traces.live.steps import completed_data, started_data
from traces.models import Feedback, Span, Trace
from traces.reading.contents import Contents
from traces.reading.describing import cost_of, never_ran, parents_among
from traces.reading.feedback import comment_of

Json = dict[str, Any]

NOTHING = Contents()


@dataclass(frozen=True, slots=True)
class Inside:
    """What was said in a run, as far as the trace may show it; None where there is nothing."""

    question: Any = None
    answer: Any = None
    by_span: Mapping[str, Contents] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """`said` is part of `data` for those who may see the conversation; others get nulls.

    `sentence`: a name of `SENTENCES` and its values, for `data.message`.
    """

    event_type: str
    message_id: str
    at: datetime
    data: Json
    said: Json = field(default_factory=dict)
    sentence: tuple[str, Json] | None = None

    def render(
        self, session_id: str, lang: str, *, shows_content: bool, cursor: str | None = None
    ) -> str:
        """As JSON. `session_id`: what the reader calls the conversation."""
        data = self.data | (self.said if shows_content else dict.fromkeys(self.said))
        if self.sentence is not None:
            name, values = self.sentence
            data["message"] = say(lang, name, **values)
        return frame(self.event_type, self.message_id, self.at, session_id, data, cursor)


def frame(
    event_type: str,
    message_id: str,
    at: datetime,
    session_id: str | None,
    data: Json,
    cursor: str | None = None,
) -> str:
    """A message as JSON. `cursor`: for the viewers of all traces alone."""
    told: Json = {
        "event_type": event_type,
        "timestamp": timestamp(at),
        "message_id": message_id,
        "session_id": session_id,
        "data": data,
    }
    if cursor is not None:
        told["cursor"] = cursor
    return orjson.dumps(told).decode()


def messages_of(
    trace: Trace, spans: Sequence[Span], inside: Inside, feedback: Sequence[Feedback] = ()
) -> list[Message]:
    """All that there is to tell of a trace now, each after what it follows from."""
    return [
        _trace_started(trace, inside),
        *_messages_of_spans(trace, spans, inside),
        *_messages_of_end(trace, spans, inside),
        *(_said(trace, each) for each in feedback),
    ]


# The run.


def _trace_started(trace: Trace, inside: Inside) -> Message:
    data = {
        "trace_id": trace.pk,
        "trace_name": trace.agent or trace.service,
        "agent_name": trace.agent,
        "service": trace.service,
        "max_steps": trace.max_steps,
    }
    message_id = f"trace_start_{span_ids.run_span_id(trace.pk)}"
    said = {"request": inside.question}
    return Message("trace_started", message_id, trace.started_at, data, said)


def _messages_of_end(trace: Trace, spans: Sequence[Span], inside: Inside) -> Iterator[Message]:
    if trace.ended_at is None:
        return
    has_failed = trace.status in (Trace.Status.FAILED, Trace.Status.TIMED_OUT)
    if has_failed and not any(is_failed_reply(span) for span in spans):
        yield _run_failed(trace, trace.ended_at)
    tokens = trace.prompt_tokens + trace.completion_tokens
    data = {
        "trace_id": trace.pk,
        "duration_ms": trace.duration_ms,
        "total_runs": trace.span_count,
        "total_tokens": tokens,
        "total_cost": cost_of(trace),
        "status": trace.status,
    }
    message_id = f"trace_end_{span_ids.run_span_id(trace.pk)}"
    said = {"final_response": inside.answer}
    yield Message("trace_completed", message_id, trace.ended_at, data, said)


def _run_failed(trace: Trace, at: datetime) -> Message:
    """The run as a whole has failed, and not in a reply of its model."""
    data = problem_data(trace.error, trace.error_type or "timeout", trace.pk)
    return Message("run_error", f"error_{span_ids.run_span_id(trace.pk)}", at, data)


def problem_data(sentence: str, error_type: str, trace_id: str | None = None) -> Json:
    """`data` of a `run_error` that is about no step."""
    nothing = dict.fromkeys(
        ("run_id", "parent_run_id", "name", "run_type", "start_time", "end_time", "duration_ms")
    )
    return nothing | {
        "trace_id": trace_id,
        "status": "error",
        "inputs": None,
        "outputs": None,
        "error": sentence,
        "error_type": error_type,
        "metadata": {},
    }


def _said(trace: Trace, feedback: Feedback) -> Message:
    """What a client said of the answer. Another word of the same client is another message."""
    said_by = f"{trace.pk} {feedback.principal} {feedback.given_at.isoformat()}"
    message_id = f"feedback_{blake2b(said_by.encode(), digest_size=8).hexdigest()}"
    data = {"trace_id": trace.pk, "principal": feedback.principal, "score": feedback.score}
    said = {"comment": comment_of(trace, feedback)}
    return Message("feedback", message_id, feedback.given_at, data, said)


# Its steps.


def is_failed_reply(span: Span) -> bool:
    return span.kind == Span.Kind.THINK and span.status == Span.Status.ERROR


def _messages_of_spans(trace: Trace, spans: Sequence[Span], inside: Inside) -> Iterator[Message]:
    """Starts come before ends, steps after the steps before."""
    parents = parents_among(spans)
    told: list[tuple[tuple[int, int, int, int], Message]] = []
    for span in spans:
        is_tool = span.kind == Span.Kind.TOOL
        place = (span.attempt, span.step)
        if not never_ran(span):
            for message in _starts(trace, span, parents.get(span.span_id)):
                told.append(((*place, 2 * is_tool, span.start_seq), message))
        if span.ended_at is not None:
            contents = inside.by_span.get(span.span_id, NOTHING)
            message = _ended(trace, span, parents.get(span.span_id), contents)
            told.append(((*place, 2 * is_tool + 1, span.end_seq), message))
    yield from (message for _, message in sorted(told, key=lambda each: each[0]))


def _starts(trace: Trace, span: Span, parent: str | None) -> Iterator[Message]:
    """What it is about to do, and that it has begun. A wait for somebody comes before."""
    mark = "_waiting" if span.status == Span.Status.WAITING else ""
    yield Message(
        "status_update",
        f"status_{span.span_id}{mark}",
        span.started_at,
        progress_data(trace, span.step, _state_of(span)),
        sentence=_sentence_of(span),
    )
    data = started_data(trace, span, parent)
    yield Message("span_started", f"span_start_{span.span_id}{mark}", span.started_at, data)


def _ended(trace: Trace, span: Span, parent: str | None, contents: Contents) -> Message:
    event_type = "run_error" if is_failed_reply(span) else f"{span.kind}_completed"
    data, said = completed_data(trace, span, parent, contents)
    at = span.ended_at or span.started_at
    return Message(event_type, f"{span.kind}_{span.span_id}", at, data, said)


def progress_data(trace: Trace, step: int, state: str) -> Json:
    """`data` of a `status_update` without its sentence."""
    most = trace.max_steps
    done = None if not most else min(100, round(100 * max(0, step - 1) / most))
    return {
        "trace_id": trace.pk,
        "current_step": step,
        "max_steps": most,
        "agent_state": state,
        "progress_percentage": done,
    }


def status_data(state: str, sentence: str) -> Json:
    """`data` of a `status_update` that is about no step."""
    nothing = dict.fromkeys(("trace_id", "current_step", "max_steps", "progress_percentage"))
    return nothing | {"agent_state": state, "message": sentence}


def _state_of(span: Span) -> str:
    if span.status == Span.Status.WAITING:
        return "waiting"
    return "thinking" if span.kind == Span.Kind.THINK else "acting"


def _sentence_of(span: Span) -> tuple[str, Json]:
    if span.kind == Span.Kind.THINK:
        return "thinking", {}
    is_waiting = span.status == Span.Status.WAITING
    return "user_confirm_plain" if is_waiting else "tool_call", {"tool": span.name}
