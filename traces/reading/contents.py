"""What went in and out of the steps of a run, from the log. Synchronous reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Max, Q, QuerySet

from agents.models import Event, Run
from myagent import exact_json
from traces.content import shown_text, shown_value
from traces.models import Span, Trace

MOST_CHARACTERS = 64 * 1024
"""Characters of one text that are shown; the log has the rest."""

OF_THE_RUN = (
    *("user.message", "agent.thinking", "agent.tool_call", "agent.tool_result"),
    *("agent.user_confirm", "agent.final_answer"),
)

COLUMNS = ("seq", "event", "payload", "message")

Message = Mapping[str, Any]
"""A chat message as JSON."""


@dataclass(frozen=True, slots=True)
class Contents:
    """`inputs` and `outputs` of a span; None where there is nothing, or nothing may be seen."""

    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a run's part of the log."""

    seq: int
    event: str
    data: Mapping[str, Any]
    message: Message | None


def contents_of(trace: Trace, spans: Sequence[Span]) -> dict[str, Contents]:
    """By `span_id`. What a reply was given is what the run has added to the conversation since the
    reply before it. Reads of the log what the spans need, not all of the run.
    """
    # The log has nothing of what a tool's code recorded.
    spans = [span for span in spans if span.kind != Span.Kind.WORK]
    if trace.content == Trace.Content.OFF or not spans:
        return {}
    places = _places_of(trace, spans)
    return _contents(_entries_for(trace, spans, places), trace, spans, places)


def contents_in(
    entries: Sequence[LogEntry], trace: Trace, spans: Sequence[Span]
) -> dict[str, Contents]:
    """The same, of the spans that these entries are about: a reply and all that came after it."""
    places = {
        span.span_id: span.end_seq
        for span in spans
        if span.kind == Span.Kind.THINK and span.end_seq
    }
    return _contents(entries, trace, spans, places)


def _contents(
    entries: Sequence[LogEntry],
    trace: Trace,
    spans: Sequence[Span],
    places: Mapping[str, int],
) -> dict[str, Contents]:
    """`places`: where the log has the replies of spans."""
    shown = Shown(trace.content)
    at = {entry.seq: entry for entry in entries}
    given, given_last = _given(entries)
    answer = next((each for each in entries if each.event == "agent.final_answer"), None)

    def of_reply(span: Span) -> Contents:
        messages = given.get(places.get(span.span_id, 0), given_last)
        inputs = {"messages": [shown.json(message) for message in messages]}
        reply = at.get(span.end_seq)
        return Contents(inputs, None if reply is None else _reply(reply, answer, shown))

    return {
        span.span_id: of_reply(span) if span.kind == Span.Kind.THINK else _of_tool(span, at, shown)
        for span in spans
    }


def _places_of(trace: Trace, spans: Sequence[Span]) -> dict[str, int]:
    """Where the log has the reply of each span of one; of one that was cut off, where it has the
    reply that was given the same, in a later attempt. Without those that no reply came of.
    """
    replies = [span for span in spans if span.kind == Span.Kind.THINK]
    cut_off = [span.step for span in replies if not span.end_seq]
    later: dict[int, int] = {}
    if cut_off:
        done = trace.spans.filter(kind=Span.Kind.THINK, step__in=cut_off, end_seq__gt=0)
        later = dict(done.values_list("step", "end_seq"))
    found = {span.span_id: span.end_seq or later.get(span.step, 0) for span in replies}
    return {span_id: seq for span_id, seq in found.items() if seq}


def _entries_for(trace: Trace, spans: Sequence[Span], places: Mapping[str, int]) -> list[LogEntry]:
    """In order: those of tools one by one, those of replies with all that they were given."""
    tools = [span for span in spans if span.kind == Span.Kind.TOOL]
    points = {seq for span in tools for seq in (span.start_seq, span.end_seq) if seq}
    is_needed = Q(seq__in=points)
    if len(tools) < len(spans):
        is_needed |= _given_from(trace, places, has_open=len(places) + len(tools) < len(spans))
    rows = _log_of(trace).filter(is_needed).order_by("seq")
    found = [_entry(*row) for row in rows.values_list(*COLUMNS)]
    last = next((each for each in reversed(found) if each.event == "agent.thinking"), None)
    if last is None or last.message is not None or found[-1].event == "agent.final_answer":
        return found
    # The last reply is the answer, which is an entry of its own.
    answers = _log_of(trace).filter(seq__gt=last.seq, event="agent.final_answer").order_by("seq")
    return found + [_entry(*row) for row in answers.values_list(*COLUMNS)[:1]]


def _given_from(trace: Trace, places: Mapping[str, int], *, has_open: bool) -> Q:
    """From the reply before the first of `places` to the last of them; to the end of the run if
    there are replies that are in no place.
    """
    replies = trace.spans.filter(kind=Span.Kind.THINK, end_seq__gt=0)
    if places:
        replies = replies.filter(end_seq__lt=min(places.values()))
    before = replies.aggregate(last=Max("end_seq"))["last"]
    if before is None:
        run = Run.objects.filter(pk=trace.pk).values_list("accepted_seq", flat=True)
        before = run.first() or 0
    is_from = Q(seq__gte=before)
    return is_from if has_open else is_from & Q(seq__lte=max(places.values()))


def _log_of(trace: Trace) -> QuerySet[Event]:
    return Event.objects.filter(session_id=trace.session_id, run_id=trace.pk, event__in=OF_THE_RUN)


def entries_of(wanted: Mapping[str, tuple[str, int]]) -> dict[str, list[LogEntry]]:
    """The entries of runs, by their ids. `wanted`: each one's session, and where in its log to
    begin; 0 for the run's message.
    """
    begun = [run_id for run_id, (_, seq) in wanted.items() if not seq]
    runs = Run.objects.filter(pk__in=begun) if begun else Run.objects.none()
    first = dict(runs.values_list("pk", "accepted_seq"))
    is_meant = Q()
    for run_id, (session_id, seq) in wanted.items():
        # By position in the log, which is indexed.
        start = seq or first.get(run_id, 0)
        is_meant |= Q(session_id=session_id, seq__gte=start, run_id=run_id)
    found: dict[str, list[LogEntry]] = {run_id: [] for run_id in wanted}
    if not wanted:
        return found
    rows = Event.objects.filter(is_meant, event__in=OF_THE_RUN).order_by("session_id", "seq")
    for run_id, *columns in rows.values_list("run_id", *COLUMNS):
        if run_id is not None:
            found[run_id].append(_entry(*columns))
    return found


def _entry(seq: int, event: str, payload: str, message: str | None) -> LogEntry:
    loaded = orjson.loads(message) if message else None
    return LogEntry(seq, event, exact_json.loads(payload), loaded)


def _given(entries: Sequence[LogEntry]) -> tuple[dict[int, list[Message]], list[Message]]:
    """The messages that each reply was given, by its `seq`, and those for one that is to come."""
    found: dict[int, list[Message]] = {}
    new: list[Message] = []
    for entry in entries:
        if entry.event == "agent.thinking":
            found[entry.seq], new = new, []
        if entry.message is not None:
            new.append(entry.message)
    return found, new


def _reply(reply: LogEntry, answer: LogEntry | None, shown: Shown) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if reply.data["content"]:
        found["reasoning"] = shown.json(reply.data["content"])
    if reply.message is not None:
        return found | {"message": shown.json(reply.message)}
    if answer is not None:
        found["message"] = shown.json({"role": "assistant", "content": answer.data["content"]})
    return found


def _of_tool(span: Span, at: Mapping[int, LogEntry], shown: Shown) -> Contents:
    call, result = at.get(span.start_seq), at.get(span.end_seq)
    inputs = None if call is None else {"args": shown.json(call.data["metadata"].get("args"))}
    outputs = None if result is None else {"result": shown.json(result.data["content"])}
    return Contents(inputs, outputs)


class Shown:
    """Values as somebody may see them: each text in them is redacted and bounded."""

    def __init__(self, content: str) -> None:
        self._content = content

    def json(self, value: Any) -> Any:
        match value:
            case str():
                return self._text(value)
            case dict():
                return {name: self.json(each) for name, each in value.items()}
            case list():
                return [self.json(each) for each in value]
        return shown_value(value, self._content)

    def _text(self, text: str) -> Any:
        shown = shown_text(text, self._content)
        if len(shown) <= MOST_CHARACTERS:
            return shown
        return {"text": shown[:MOST_CHARACTERS], "characters": len(text)}
