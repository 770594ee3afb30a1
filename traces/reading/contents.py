"""What went in and out of the steps of a run, from the log. Synchronous reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Q

from agents.models import Event, Run
from myagent import exact_json
from traces.content import shown_text
from traces.models import Span, Trace

MOST_CHARACTERS = 64 * 1024
"""Characters of one text that are shown; the log has the rest."""

OF_THE_RUN = (
    *("user.message", "agent.thinking", "agent.tool_call", "agent.tool_result"),
    *("agent.user_confirm", "agent.final_answer"),
)


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
    reply before it.
    """
    if trace.content == Trace.Content.OFF:
        return {}
    return contents_in(entries_of({trace.pk: (trace.session_id, 0)})[trace.pk], trace, spans)


def contents_in(
    entries: Sequence[LogEntry], trace: Trace, spans: Sequence[Span]
) -> dict[str, Contents]:
    """The same, of the spans that these entries are about: a reply and all that came after it."""
    shown = Shown(trace.content)
    at = {entry.seq: entry for entry in entries}
    given, given_last = _given(entries)
    # The last reply is the answer, which is an entry of its own.
    answer = next((each for each in entries if each.event == "agent.final_answer"), None)

    def of_reply(span: Span) -> Contents:
        messages = given.get(span.end_seq, given_last)
        inputs = {"messages": [shown.json(message) for message in messages]}
        reply = at.get(span.end_seq)
        return Contents(inputs, None if reply is None else _reply(reply, answer, shown))

    return {
        span.span_id: of_reply(span) if span.kind == Span.Kind.THINK else _of_tool(span, at, shown)
        for span in spans
    }


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
    columns = ("run_id", "seq", "event", "payload", "message")
    for run_id, seq, event, payload, message in rows.values_list(*columns):
        if run_id is not None:
            found[run_id].append(_entry(seq, event, payload, message))
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
        # A number may be a secret as well.
        is_hidden = self._content == Trace.Content.REDACTED and value is not None
        return self._text(str(value)) if is_hidden and not isinstance(value, bool) else value

    def _text(self, text: str) -> Any:
        shown = shown_text(text, self._content)
        if len(shown) <= MOST_CHARACTERS:
            return shown
        return {"text": shown[:MOST_CHARACTERS], "characters": len(text)}
