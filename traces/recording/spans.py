"""The rows of spans. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from agents.log.recorders import Row
from agents.log.writes import RunFacts
from myagent import exact_json, span_ids
from myagent.inner_spans import InnerSpan
from myagent.models.base import Usage
from traces.content import shown_name, shown_text, shown_value
from traces.models import MAX_EXCERPT, PARTS_LEFT_OUT, Span, Trace
from traces.recording import statements

MAX_NAME = 200

NO_TOKENS = Usage()
NO_COUNTS = (0, 0, 0, 0)

# As plain texts: an enum's member takes a driver as long as the rest of a row. For the same reason
# rows are made of tuples.
THINK, TOOL, WORK = str(Span.Kind.THINK), str(Span.Kind.TOOL), str(Span.Kind.WORK)


class Subject(NamedTuple):
    """What a span is about: a reply of the model, or the work of a tool."""

    run: RunFacts
    kind: str
    name: str
    step: int
    step_id: str = ""

    @property
    def span_id(self) -> str:
        run_id, attempt = self.run.run_id, self.run.attempt
        if self.kind == THINK:
            return span_ids.think_id(run_id, self.step, attempt)
        return span_ids.tool_id(run_id, self.step_id, attempt)


class Outcome(NamedTuple):
    """How it ended; `seq` is where the log has what came out."""

    seq: int
    duration_ms: int
    first_token_ms: int | None = None
    usage: Usage = NO_TOKENS
    cost_nano: int | None = None
    error: str = ""


def opened(subject: Subject, status: str, moment: str, seq: int = 0) -> Row:
    """It begins; `seq` is where the log has what goes in, if that is an entry of its own."""
    return _row(subject, status, moment, (None, None, None, *NO_COUNTS, None, seq, 0, ""))


def ended(subject: Subject, status: str, at: datetime, outcome: Outcome) -> Row:
    seq, duration_ms, first_token_ms, usage, cost_nano, error = outcome
    began_at = adapted(at - timedelta(milliseconds=duration_ms))
    end = (adapted(at), duration_ms, first_token_ms, *counts(usage), cost_nano, 0, seq, error)
    return _row(subject, status, began_at, end)


def parts(
    tool: Subject, aside: Mapping[str, Any], began_at: datetime, content: str
) -> Iterator[Row]:
    """Those of a tool's work, which began at `began_at`; `aside` is that of its result.

    What has none of them above it, as its parent was left out or is not the tool's, belongs to the
    tool.
    """
    given: Sequence[InnerSpan] = aside.get("spans", ())
    known = {each.span_id for each in given}
    for each in given:
        parent_id = each.parent_id if each.parent_id in known else tool.span_id
        yield _part(tool, each, parent_id, began_at, content)
    if count := aside.get("spans_left_out", 0):
        told = exact_json.dumps({PARTS_LEFT_OUT: count})
        yield Row(statements.SAY_OF_SPAN, (told, tool.run.run_id, tool.span_id))


def _part(tool: Subject, given: InnerSpan, parent_id: str, began_at: datetime, content: str) -> Row:
    start = began_at + timedelta(milliseconds=given.offset_ms)
    end = start + timedelta(milliseconds=given.duration_ms)
    run = tool.run
    values = (
        *(run.run_id, given.span_id, WORK, shown_name(given.name, content)[:MAX_NAME]),
        *(given.status, run.attempt, tool.step, tool.step_id),
        *(adapted(start), adapted(end), round(given.duration_ms)),
        shown_text(given.error, content)[:MAX_EXCERPT],
        *(parent_id, _attributes(given, content)),
        *(*NO_COUNTS, 0, 0),
    )
    return Row(statements.write_part(), values)


def _attributes(given: InnerSpan, content: str) -> str | None:
    if content == Trace.Content.OFF or not given.attributes:
        return None
    return exact_json.dumps(
        {
            name: shown_text(value, content)
            if isinstance(value, str)
            else shown_value(value, content)
            for name, value in given.attributes.items()
        }
    )


def counts(usage: Usage) -> tuple[int, int, int, int]:
    """In the order of the columns."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    return prompt, usage.cached_tokens, completion, usage.reasoning_tokens


def _row(subject: Subject, status: str, began_at: str, rest: tuple[Any, ...]) -> Row:
    """`rest`: the columns from `ended_at` to `error`."""
    run, kind, name, step, step_id = subject
    of_start = (run.run_id, subject.span_id, kind, name[:MAX_NAME], status, run.attempt, step)
    return Row(statements.write_span(), (*of_start, step_id, began_at, *rest))


def adapted(at: datetime) -> str:
    """A moment in UTC as the databases take it: what Django makes of it, in a fifth of the time."""
    return str(at.replace(tzinfo=None))
