"""The rows of spans. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from agents.log.recorders import Row
from agents.log.writes import RunFacts
from myagent import exact_json, span_ids
from myagent.inner_spans import InnerSpan
from myagent.models.base import Usage
from traces.content import shown_text
from traces.models import MAX_EXCERPT, Span, Trace
from traces.recording import statements

MAX_NAME = 200


NO_TOKENS = Usage()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a span is about: a reply of the model, or the work of a tool."""

    run: RunFacts
    kind: Span.Kind
    name: str
    step: int
    step_id: str = ""

    @property
    def span_id(self) -> str:
        run_id, attempt = self.run.run_id, self.run.attempt
        if self.kind == Span.Kind.THINK:
            return span_ids.think_id(run_id, self.step, attempt)
        return span_ids.tool_id(run_id, self.step_id, attempt)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended; `seq` is where the log has what came out."""

    seq: int
    duration_ms: int
    first_token_ms: int | None = None
    usage: Usage = NO_TOKENS
    cost_nano: int | None = None
    error: str = ""


def opened(subject: Subject, status: str, at: datetime, seq: int = 0) -> Row:
    """It begins; `seq` is where the log has what goes in, if that is an entry of its own."""
    nothing_yet = (None, None, None, *counts(NO_TOKENS), None)
    return _row(subject, status, adapted(at), (*nothing_yet, seq, 0, ""))


def ended(subject: Subject, status: str, at: datetime, outcome: Outcome) -> Row:
    began_at = adapted(at - timedelta(milliseconds=outcome.duration_ms))
    end = (adapted(at), outcome.duration_ms, outcome.first_token_ms)
    result = (*counts(outcome.usage), outcome.cost_nano, 0, outcome.seq, outcome.error)
    return _row(subject, status, began_at, (*end, *result))


def part(tool: Subject, given: InnerSpan, began_at: datetime, content: str) -> Row:
    """A part of a tool's work, which began at `began_at`."""
    start = began_at + timedelta(milliseconds=given.offset_ms)
    end = start + timedelta(milliseconds=given.duration_ms)
    run = tool.run
    values = (
        *(run.run_id, given.span_id, str(Span.Kind.WORK), given.name[:MAX_NAME]),
        *(given.status, run.attempt, tool.step, tool.step_id),
        *(adapted(start), adapted(end), round(given.duration_ms)),
        shown_text(given.error, content)[:MAX_EXCERPT],
        *(given.parent_id or tool.span_id, _attributes(given, content)),
        *(*counts(NO_TOKENS), 0, 0),
    )
    return Row(statements.write_part(), values)


def _attributes(given: InnerSpan, content: str) -> str | None:
    if content == Trace.Content.OFF or not given.attributes:
        return None
    # A number may be a secret as well.
    is_hidden = content == Trace.Content.REDACTED
    return exact_json.dumps(
        {
            name: shown_text(str(value), content) if is_hidden else value
            for name, value in given.attributes.items()
        }
    )


def counts(usage: Usage) -> tuple[int, int, int, int]:
    """In the order of the columns."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    return prompt, usage.cached_tokens, completion, usage.reasoning_tokens


def _row(subject: Subject, status: str, began_at: Any, rest: tuple[Any, ...]) -> Row:
    """`rest`: the columns from `ended_at` to `error`."""
    values = (
        subject.run.run_id,
        subject.span_id,
        str(subject.kind),
        subject.name[:MAX_NAME],
        str(status),
        subject.run.attempt,
        subject.step,
        subject.step_id,
        began_at,
        *rest,
    )
    return Row(statements.write_span(), values)


def adapted(at: datetime) -> Any:
    """A moment as the database takes it."""
    return connection.ops.adapt_datetimefield_value(at)
