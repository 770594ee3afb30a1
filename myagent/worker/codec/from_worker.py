"""Reads a worker's messages from JSON. No I/O.

A worker runs somebody else's code, so each field is checked and its size is limited. An invalid
frame of a run ends that run only. One short function for each kind of message makes the file long.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import get_args

from myagent import exact_json, inner_spans
from myagent.examples import MAX_EXAMPLE_LENGTH, MAX_EXAMPLES
from myagent.inner_spans import InnerSpan
from myagent.messages import ChatMessage, Reasoning, Role, ToolCall
from myagent.models.base import Usage
from myagent.sentence import PLACE, Said
from myagent.steps import (
    MOST_DESCRIPTION,
    MOST_SCHEMA_BYTES,
    Answer,
    ConfirmationAsked,
    Step,
    StopReason,
    Thought,
    ToolFinished,
    ToolStarted,
    ToolStatus,
)
from myagent.worker.codec.fields import (
    MAX_NAME,
    Json,
    count,
    count_or_none,
    flag,
    items,
    json_object,
    number,
    number_or_none,
    objects,
    one_of,
    text,
    texts,
)
from myagent.worker.protocol import (
    AgentInfo,
    BadRunFrame,
    Debugging,
    Draining,
    FromWorker,
    LinkError,
    NeedHistory,
    Pong,
    Ready,
    Report,
    RunKey,
    Stepping,
    Steps,
    StopKind,
    Stopped,
    Text,
    ToolInfo,
    Unfit,
)
from myagent.worker.text import MAX_ANSWER_BYTES

MAX_ID = 64
"""Characters of a step's id, as many as the log has room for."""

SPAN_ID_LENGTH = 16
SPAN_ID = re.compile(f"[0-9a-f]{{{SPAN_ID_LENGTH}}}")

MAX_DESCRIPTION = 2000
MAX_TOOLS = 1000
MAX_CALLS = 1000
"""Tool calls that one reply of a model may wish for."""

MAX_STEPS = 16
"""In one frame; a worker of this version sends no more than two."""

MAX_DETAIL = 64 * 1024
MAX_SENTENCE = 16 * 1024
"""Characters of a sentence as it will be told, filled in."""

MAX_SAID_DEPTH = 4
"""Of sentences in sentences."""


def decode_from_worker(data: bytes) -> FromWorker:
    """Raises `LinkError`; of a frame whose run is known `BadRunFrame`."""
    parsed = _parsed(data)
    kind = parsed.get("kind")
    read = _OF_A_RUN.get(kind) if isinstance(kind, str) else None
    if read is None:
        return _read_news(kind, parsed)
    key = _key(parsed)
    try:
        return read(parsed, key)
    except LinkError as error:
        raise BadRunFrame(f"a frame {kind!r} can't be read: {error}", key) from error


def decode_said(data: bytes) -> Said:
    """Raises `LinkError`."""
    return _said(_parsed(data))


def _parsed(data: bytes) -> Json:
    try:
        parsed = exact_json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LinkError(f"not a frame of a link: {data[:80]!r}") from error
    if type(parsed) is not dict:
        raise LinkError(f"not a frame of a link: {data[:80]!r}")
    return parsed


def _read_news(kind: object, parsed: Json) -> FromWorker:
    read = _OF_ITSELF.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise LinkError(f"there is no frame {repr(kind)[:80]}")
    try:
        return read(parsed)
    except LinkError as error:
        raise LinkError(f"a frame {kind!r} can't be read: {error}") from error


def _key(data: Json) -> RunKey:
    return RunKey(text(data, "session", MAX_ID), count(data, "epoch"), count(data, "attempt"))


def _usage(data: Json) -> Usage:
    sums = _counts(data, "usage", ("prompt", "completion"))
    # A worker of an older version does not send these.
    has_parts = "usage_parts" in data
    parts = _counts(data, "usage_parts", ("cached", "reasoning")) if has_parts else ()
    return Usage(*sums, *parts)


def _counts(data: Json, name: str, of: Sequence[str]) -> list[int]:
    """A list of as many counts as there are words for them."""
    numbers = dict(zip(of, items(data, name, len(of)), strict=False))
    named = {f"{name}: {word}": number for word, number in numbers.items()}
    return [count(named, f"{name}: {word}") for word in of]


def _message(data: Json) -> ChatMessage:
    wire = json_object(data, "message")
    calls = (
        tuple(map(_call, objects(wire, "tool_calls", MAX_CALLS))) if "tool_calls" in wire else ()
    )
    return ChatMessage(
        one_of(wire, "role", _ROLES),
        # A message that only calls tools has no text.
        text(wire, "content") if wire.get("content") is not None or not calls else "",
        calls,
        text(wire, "tool_call_id", MAX_ID) if "tool_call_id" in wire else None,
        reasoning=_reasoning(wire) if "server_reasoning" in wire else None,
    )


def _reasoning(wire: Json) -> Reasoning:
    given = json_object(wire, "server_reasoning")
    return Reasoning(
        text(given, "origin", MAX_NAME),
        json_object(given, "fields"),
        objects(given, "calls", MAX_CALLS),
    )


def _call(data: Json) -> ToolCall:
    function = json_object(data, "function")
    return ToolCall(
        text(data, "id", MAX_ID), text(function, "name", MAX_NAME), text(function, "arguments")
    )


def _said(data: Json, depth: int = 0) -> Said:
    if depth == MAX_SAID_DEPTH:
        raise LinkError(f"'values' is nested deeper than {MAX_SAID_DEPTH} sentences")
    given = json_object(data, "values")
    said = Said(
        text(data, "template", MAX_SENTENCE),
        {name: _said_value(value, depth) for name, value in given.items()},
    )
    if _told_length(said) > MAX_SENTENCE:
        raise LinkError(f"'template' filled in has more than {MAX_SENTENCE} characters")
    return said


def _said_value(value: object, depth: int) -> str | int | float | Said:
    if isinstance(value, dict):
        return _said(value, depth + 1)
    if not isinstance(value, str | int | float):
        raise LinkError(f"'values' holds texts, numbers and sentences, not {repr(value)[:80]}")
    return value


def _told_length(said: Said) -> int:
    """Its length once it is filled in: a few places may stand for very much."""
    lengths = {
        name: _told_length(value) if isinstance(value, Said) else len(str(value))
        for name, value in said.values.items()
    }
    return len(said.template) + sum(lengths.get(name, 0) for name in PLACE.findall(said.template))


def _agent(data: Json) -> AgentInfo:
    agent = json_object(data, "agent")
    return AgentInfo(
        text(agent, "name", MAX_DESCRIPTION),
        text(agent, "description", MAX_DESCRIPTION),
        [_tool(tool) for tool in objects(agent, "tools", MAX_TOOLS)],
        text(agent, "model", MAX_DESCRIPTION),
        count_or_none(agent, "max_steps"),
        flag(agent, "enable_tracing"),
        # An older SDK does not say; its worker refuses what it can't continue.
        flag(agent, "is_continuable") if "is_continuable" in agent else True,
        # A worker that was started before an update does not send these.
        texts(agent, "examples", MAX_EXAMPLES, MAX_EXAMPLE_LENGTH) if "examples" in agent else (),
    )


def _tool(data: Json) -> ToolInfo:
    return ToolInfo(
        name=text(data, "name", MAX_DESCRIPTION),
        description=text(data, "description", MAX_DESCRIPTION),
        idempotent=flag(data, "idempotent"),
        requires_confirmation=flag(data, "requires_confirmation"),
        timeout_s=number_or_none(data, "timeout_s"),
    )


def _step(data: Json) -> Step:
    return _STEPS[one_of(data, "step", _STEPS.keys())](data)


def _asked(data: Json) -> ConfirmationAsked:
    timeout_s = number_or_none(data, "timeout_s")
    return ConfirmationAsked(
        text(data, "step_id", MAX_ID),
        text(data, "tool", MAX_NAME),
        json_object(data, "args"),
        # JSON has no number for a wait without an end.
        math.inf if timeout_s is None else timeout_s,
        text(data, "description", MOST_DESCRIPTION),
        _parameters(data),
    )


def _parameters(data: Json) -> Json | None:
    if data.get("parameters") is None:
        return None
    found = json_object(data, "parameters")
    if len(exact_json.encode(found)) > MOST_SCHEMA_BYTES:
        raise LinkError(f"'parameters' has more than {MOST_SCHEMA_BYTES} bytes")
    return found


def _spans(data: Json) -> tuple[InnerSpan, ...]:
    return tuple(map(_span, objects(data, "spans", inner_spans.MOST_SPANS)))


def _span(data: Json) -> InnerSpan:
    return InnerSpan(
        _span_id(data, "span_id"),
        _span_id(data, "parent_id") if data.get("parent_id") != "" else "",
        text(data, "name", inner_spans.MOST_NAME),
        number(data, "offset_ms"),
        number(data, "duration_ms"),
        one_of(data, "status", _SPAN_STATUSES),
        text(data, "error", inner_spans.MOST_ERROR),
        _attributes(data),
    )


def _span_id(data: Json, name: str) -> str:
    given = text(data, name, SPAN_ID_LENGTH)
    if not SPAN_ID.fullmatch(given):
        raise LinkError(f"'{name}' must be {SPAN_ID_LENGTH} hexadecimal digits, not {given!r}")
    return given


def _attributes(data: Json) -> dict[str, inner_spans.Scalar]:
    given = json_object(data, "attributes")
    if len(given) > inner_spans.MOST_ATTRIBUTES:
        raise LinkError(
            f"'attributes' has {len(given)} items; {inner_spans.MOST_ATTRIBUTES} are allowed"
        )
    for name, value in given.items():
        if type(value) not in (str, int, float, bool):
            raise LinkError("'attributes' holds texts, numbers, true and false")
        if len(name) > inner_spans.MOST_KEY or len(str(value)) > inner_spans.MOST_VALUE:
            raise LinkError("'attributes' has a name or a value that is too long")
    return given


def _steps(data: Json, key: RunKey) -> Steps:
    steps = [_step(step) for step in objects(data, "steps", MAX_STEPS)]
    if not steps:
        raise LinkError("'steps' is empty")
    if any(isinstance(step, Answer) for step in steps[:-1]):
        raise LinkError("'steps' goes on after an answer")
    return Steps(key, steps)


def _stopped(data: Json, key: RunKey) -> Stopped:
    return Stopped(
        key,
        one_of(data, "how", _STOP_KINDS),
        None if data.get("said") is None else _said(json_object(data, "said")),
        flag(data, "is_retryable"),
        text(data, "detail", MAX_DETAIL),
        text(data, "cause", MAX_SENTENCE) if "cause" in data else "",
    )


_ROLES = frozenset(get_args(Role))
_SPAN_STATUSES = frozenset({"success", "error"})
_STATUSES = frozenset(get_args(ToolStatus))
_STOP_KINDS = frozenset(get_args(StopKind))
_STOP_REASONS = frozenset(get_args(StopReason))

_STEPS: dict[str, Callable[[Json], Step]] = {
    "thought": lambda d: Thought(
        count(d, "number"),
        text(d, "reasoning"),
        _message(d),
        _usage(d),
        count(d, "duration_ms"),
        count_or_none(d, "first_token_ms"),
    ),
    "confirmation_asked": _asked,
    "tool_started": lambda d: ToolStarted(
        text(d, "step_id", MAX_ID), text(d, "tool", MAX_NAME), json_object(d, "args")
    ),
    "tool_finished": lambda d: ToolFinished(
        text(d, "step_id", MAX_ID),
        text(d, "tool", MAX_NAME),
        one_of(d, "status", _STATUSES),
        text(d, "text"),
        count(d, "duration_ms"),
        _message(d),
        count_or_none(d, "full_length"),
        _spans(d) if "spans" in d else (),
        # A worker that was started before an update does not send it.
        count(d, "spans_left_out") if "spans_left_out" in d else 0,
    ),
    "answer": lambda d: Answer(
        text(d, "text", MAX_ANSWER_BYTES),
        count(d, "steps"),
        _usage(d),
        one_of(d, "stop_reason", _STOP_REASONS),
        count_or_none(d, "full_length"),
    ),
}

_OF_A_RUN: dict[str, Callable[[Json, RunKey], FromWorker]] = {
    "stepping": lambda d, key: Stepping(key, count(d, "step")),
    "text": lambda d, key: Text(key, count(d, "step"), text(d, "text", MAX_ANSWER_BYTES)),
    "steps": _steps,
    "stopped": _stopped,
    "need_history": lambda d, key: NeedHistory(key),
}

_OF_ITSELF: dict[str, Callable[[Json], FromWorker]] = {
    "ready": lambda d: Ready(
        count(d, "version"), text(d, "instance", MAX_NAME), count(d, "pid"), _agent(d)
    ),
    "unfit": lambda d: Unfit(count(d, "version")),
    "pong": lambda d: Pong(
        count(d, "number"),
        Report(
            count(d, "running"), count(d, "sessions"), number(d, "lag_ms"), count(d, "abandoned")
        ),
    ),
    "draining": lambda d: Draining(),
    "debugging": lambda d: Debugging(flag(d, "is_on")),
}
