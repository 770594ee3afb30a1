"""Every message comes back from its JSON as it was."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent import exact_json
from myagent.messages import ChatMessage, Reasoning, ToolCall
from myagent.models.base import Usage
from myagent.sentence import Said
from myagent.steps import (
    MOST_SCHEMA_BYTES,
    Answer,
    ConfirmationAsked,
    Decision,
    OpenCall,
    Resume,
    StopReason,
    Thought,
    ToolFinished,
    ToolStarted,
)
from myagent.worker.codec import (
    decode_from_server,
    decode_from_worker,
    decode_said,
    encode,
    encode_said,
)
from myagent.worker.codec.fields import MAX_DEPTH, MAX_NUMBER
from myagent.worker.codec.from_worker import MAX_SAID_DEPTH, MAX_SENTENCE
from myagent.worker.protocol import (
    AgentInfo,
    BadRunFrame,
    FromServer,
    FromWorker,
    LinkError,
    Report,
    RunKey,
    Start,
    Steps,
    StopKind,
    ToolInfo,
)

# Without lone surrogates, which no JSON holds: see the last tests.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(0, MAX_NUMBER)
floats = st.floats(0, MAX_NUMBER)
long_numbers = st.integers(-(10**20), 10**20)
any_floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | long_numbers | any_floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
args = st.dictionaries(texts, values, max_size=3)
usages = st.builds(Usage, numbers, numbers, numbers, numbers)
calls = st.builds(ToolCall, texts, texts, texts)
reasonings = st.builds(Reasoning, texts, args, st.lists(args, max_size=2))
messages = st.builds(
    ChatMessage,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    texts,
    st.lists(calls, max_size=2).map(tuple),
    st.none() | texts,
    reasoning=st.none() | reasonings,
)
decisions = st.builds(Decision, st.booleans(), st.none() | args, texts)
open_calls = st.builds(
    OpenCall, calls, st.booleans(), st.none() | decisions, st.booleans(), st.none() | args
)
steps_before_the_end = st.one_of(
    st.builds(Thought, numbers, texts, messages, usages, numbers),
    st.builds(
        ConfirmationAsked, texts, texts, args, floats | st.just(math.inf), texts, st.none() | args
    ),
    st.builds(ToolStarted, texts, texts, args),
    st.builds(
        ToolFinished,
        texts,
        texts,
        st.sampled_from(["success", "error", "cancelled", "declined", "unknown"]),
        texts,
        numbers,
        messages,
        st.none() | numbers,
    ),
)
answers = st.builds(
    Answer,
    texts,
    numbers,
    usages,
    st.sampled_from(get_args(StopReason)),
    st.none() | numbers,
)
plain = texts | long_numbers | any_floats
sayings = st.recursive(
    st.builds(Said, texts, st.dictionaries(texts, plain, max_size=2)),
    lambda inner: st.builds(Said, texts, st.dictionaries(texts, plain | inner, max_size=2)),
    max_leaves=3,
)
tools = st.builds(ToolInfo, texts, texts, st.booleans(), st.booleans(), st.none() | floats)

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "key": st.builds(RunKey, texts, numbers, numbers),
    "messages": st.lists(messages, max_size=3),
    "resume": st.builds(Resume, numbers, st.lists(open_calls, max_size=2).map(tuple), usages),
    "decision": decisions,
    "agent": st.builds(
        AgentInfo, texts, texts, st.lists(tools, max_size=2), texts, st.none() | numbers
    ),
    "steps": st.builds(
        lambda before, last: [*before, last],
        st.lists(steps_before_the_end, max_size=2),
        steps_before_the_end | answers,
    ),
    "kind": st.sampled_from(get_args(StopKind)),
    "said": st.none() | sayings,
    "report": st.builds(Report, numbers, numbers, floats, numbers),
    "role": st.sampled_from(["server", "supervisor"]),
}
BY_TYPE = {"int": numbers, "str": texts, "bool": st.booleans(), "float": floats}


def messages_of(kind: type) -> st.SearchStrategy[Any]:
    strategies = FIELDS | BY_TYPE
    fields = dataclasses.fields(kind)
    return st.builds(
        kind,
        **{
            field.name: strategies[field.name if field.name in FIELDS else str(field.type)]
            for field in fields
        },
    )


@given(st.one_of([messages_of(kind) for kind in get_args(FromServer)]))
def test_what_a_server_says_comes_back(message: FromServer) -> None:
    assert decode_from_server(encode(message)) == message


def test_blank_text_beside_calls_comes_back() -> None:
    message = ChatMessage("assistant", " \n", (ToolCall("c", "t", "{}"),))
    assert ChatMessage.from_dict(exact_json.loads(message.json)) == message


def test_reasoning_keeps_every_digit_of_its_numbers() -> None:
    reasoning = Reasoning("server", {"signature": 2**70}, [])
    message = ChatMessage("assistant", "Hello.", reasoning=reasoning)
    assert ChatMessage.from_dict(exact_json.loads(message.json)) == message
    assert str(2**70) in message.reasoning_json


@given(st.one_of([messages_of(kind) for kind in get_args(FromWorker)]))
def test_what_a_worker_says_comes_back(message: FromWorker) -> None:
    assert decode_from_worker(encode(message)) == message


def test_frames_of_peers_that_tell_no_parts_of_the_usage_are_read() -> None:
    start = {
        **{"kind": "start", **RUN, "generation": 1, "first": 0, "at": 0, "messages": []},
        **{"resume": {"step": 1, "open_calls": [], "usage": [5, 7]}},
        **{"is_continued": False, "run_id": "r"},
    }
    heard = decode_from_server(orjson.dumps(start))
    assert isinstance(heard, Start)
    assert heard.resume.usage == Usage(5, 7)
    steps = decode_from_worker(orjson.dumps(RUN | steps_frame(ANSWER, usage=[5, 7])))
    assert steps == Steps(KEY, [Answer("", 1, Usage(5, 7), "answer")])


def test_peers_that_know_no_parts_of_the_usage_are_told_the_sums_as_ever() -> None:
    used = Usage(5, 7, cached_tokens=3, reasoning_tokens=4)
    (step,) = orjson.loads(encode(Steps(KEY, [Answer("", 1, used, "answer")])))["steps"]
    assert (step["usage"], step.pop("usage_parts")) == ([5, 7], [3, 4])
    (older,) = orjson.loads(encode(Steps(KEY, [Answer("", 1, Usage(5, 7), "answer")])))["steps"]
    assert step == older


@given(sayings)
def test_a_sentence_in_a_file_comes_back(said: Said) -> None:
    assert decode_said(encode_said(said)) == said


KEY = RunKey("s", 1, 1)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("\ud800", "?"),
        (math.nan, None),
        (math.inf, None),
        (12345678901234567890123, 12345678901234567890123),
        (
            {
                1,
            },
            "{1}",
        ),
    ],
    ids=["lone surrogate", "no number", "endless", "long", "no json"],
)
def test_what_has_no_json_becomes_what_has(value: Any, told: Any) -> None:
    message = Steps(KEY, [ToolStarted("id", "t", {"value": value, "beside": "\ud800"})])
    heard = decode_from_worker(encode(message))
    assert heard == Steps(KEY, [ToolStarted("id", "t", {"value": told, "beside": "?"})])


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"kind":"x"}', b'{"kind":[]}', b"\xff"])
def test_anything_else_is_no_frame(data: bytes) -> None:
    with pytest.raises(LinkError):
        decode_from_server(data)
    with pytest.raises(LinkError):
        decode_from_worker(data)


def test_a_frame_with_parts_missing_is_none() -> None:
    with pytest.raises(LinkError):
        decode_from_worker(b'{"kind":"stopped","session":"s","epoch":1,"attempt":1}')


# What a worker's frames may hold: somebody else's code has written them.

RUN = {"session": "s", "epoch": 1, "attempt": 1}
FINISHED = {
    "step": "tool_finished",
    "step_id": "c",
    "tool": "t",
    "status": "success",
    "text": "",
    "duration_ms": 0,
    "message": {"role": "tool", "content": "", "tool_call_id": "c"},
    "full_length": None,
}
ASKED = {
    "step": "confirmation_asked",
    "step_id": "c",
    "tool": "t",
    "args": {},
    "timeout_s": 1,
    "description": "",
    "parameters": None,
}
ANSWER = {
    "step": "answer",
    "text": "",
    "steps": 1,
    "usage": [0, 0],
    "stop_reason": "answer",
    "full_length": None,
}
STOPPED = {"kind": "stopped", "how": "failed", "said": None, "is_retryable": False, "detail": ""}


def deep(depth: int) -> dict[str, Any]:
    return {"in": deep(depth - 1)} if depth else {}


def said(depth: int) -> dict[str, Any]:
    return {"template": "{more}", "values": {"more": said(depth - 1) if depth else "x"}}


def steps_frame(step: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"kind": "steps", "steps": [step | changes]}


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({"kind": "text", "step": "1", "text": ""}, "step"),
        ({"kind": "text", "step": 1, "text": 1}, "text"),
        ({"kind": "text", "step": 1, "text": "x" * 600_000}, "text"),
        ({"kind": "text", "step": 1}, "text"),
        ({"kind": "stepping", "step": -1}, "step"),
        ({"kind": "stepping", "step": True}, "step"),
        ({"kind": "stepping", "step": 2**53}, "step"),
        ({"kind": "steps", "steps": []}, "steps"),
        ({"kind": "steps", "steps": {}}, "steps"),
        ({"kind": "steps", "steps": [1]}, "steps"),
        ({"kind": "steps", "steps": [FINISHED] * 17}, "steps"),
        ({"kind": "steps", "steps": [ANSWER, FINISHED]}, "steps"),
        ({"kind": "steps", "steps": [ANSWER, ANSWER]}, "steps"),
        (steps_frame({"step": "dance"}), "step"),
        (steps_frame({"step": ["answer"]}), "step"),
        (steps_frame(FINISHED, status="splendid"), "status"),
        (steps_frame(FINISHED, step_id="c" * 65), "step_id"),
        (steps_frame(FINISHED, tool=None), "tool"),
        (steps_frame(FINISHED, duration_ms=0.5), "duration_ms"),
        (steps_frame(FINISHED, full_length="long"), "full_length"),
        (steps_frame(FINISHED, message=[]), "message"),
        (steps_frame(FINISHED, message={"role": "god", "content": ""}), "role"),
        (steps_frame(FINISHED, message={"role": "tool", "content": None}), "content"),
        (steps_frame(FINISHED, message={"role": "tool", "content": "", "tool_calls": 1}), "calls"),
        (steps_frame(ASKED, args=[]), "args"),
        (steps_frame(ASKED, args=deep(MAX_DEPTH)), "args"),
        (steps_frame(ASKED, timeout_s=-1), "timeout_s"),
        (steps_frame(ASKED, description=None), "description"),
        (steps_frame(ASKED, description="x" * 2001), "description"),
        (steps_frame(ASKED, parameters=[]), "parameters"),
        (steps_frame(ASKED, parameters=deep(MAX_DEPTH)), "parameters"),
        (steps_frame(ASKED, parameters={"enum": ["x" * MOST_SCHEMA_BYTES]}), "parameters"),
        (steps_frame(ANSWER, usage=[1]), "usage"),
        (steps_frame(ANSWER, usage=[1, "2"]), "usage"),
        (steps_frame(ANSWER, usage_parts=[1]), "usage_parts"),
        (steps_frame(ANSWER, usage_parts=[1, 2, 3]), "usage_parts"),
        (steps_frame(ANSWER, usage_parts=[1, -2]), "usage_parts"),
        (steps_frame(ANSWER, usage_parts=[2**53, 0]), "usage_parts"),
        (steps_frame(ANSWER, stop_reason="tired"), "stop_reason"),
        (STOPPED | {"how": "gone"}, "how"),
        (STOPPED | {"detail": "x" * 70_000}, "detail"),
        (STOPPED | {"cause": 1}, "cause"),
        (STOPPED | {"is_retryable": 1}, "is_retryable"),
        (STOPPED | {"said": {"template": 1, "values": {}}}, "template"),
        (STOPPED | {"said": {"template": "", "values": {"a": []}}}, "values"),
        (STOPPED | {"said": said(MAX_SAID_DEPTH)}, "values"),
        (STOPPED | {"said": {"template": "{a}" * 5000, "values": {"a": "x" * 99}}}, "template"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_frame_of_a_run_names_its_run_and_the_field(frame: Any, field: str) -> None:
    with pytest.raises(BadRunFrame, match=rf"'\w*{field}\b") as caught:
        decode_from_worker(orjson.dumps(RUN | frame))
    assert caught.value.key == KEY


AGENT = {
    "name": "a",
    "description": "",
    "tools": [],
    "model": "",
    "max_steps": None,
    "enable_tracing": True,
    "is_continuable": True,
    "examples": ["Hello?"],
}
READY = {"kind": "ready", "version": 1, "instance": "i", "pid": 1, "agent": AGENT}
PONG = {"kind": "pong", "number": 1, "running": 0, "sessions": 0, "lag_ms": 0.0, "abandoned": 0}


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        (READY | {"pid": "1"}, "pid"),
        (READY | {"instance": "i" * 2000}, "instance"),
        (READY | {"agent": None}, "agent"),
        (READY | {"agent": AGENT | {"name": "n" * 2001}}, "name"),
        (READY | {"agent": AGENT | {"tools": [{}] * 1001}}, "tools"),
        (READY | {"agent": AGENT | {"tools": [{"name": 1}]}}, "name"),
        (READY | {"agent": AGENT | {"examples": "Hello?"}}, "examples"),
        (READY | {"agent": AGENT | {"examples": [1]}}, "examples"),
        (READY | {"agent": AGENT | {"examples": ["x"] * 13}}, "examples"),
        (READY | {"agent": AGENT | {"examples": ["x" * 501]}}, "examples"),
        (PONG | {"running": None}, "running"),
        (PONG | {"lag_ms": "much"}, "lag_ms"),
        ({"kind": "debugging"}, "is_on"),
        ({"kind": "text", "session": 1}, "session"),
        ({"kind": "text", "session": "s" * 65}, "session"),
        ({"kind": "text", "session": "s", "epoch": [], "attempt": 1}, "epoch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_other_bad_frame_names_the_field(frame: Any, field: str) -> None:
    with pytest.raises(LinkError, match=f"'{field}'") as caught:
        decode_from_worker(orjson.dumps(frame))
    assert not isinstance(caught.value, BadRunFrame)


def test_a_sentence_that_would_be_told_without_an_end_is_refused() -> None:
    inner: dict[str, Any] = {"template": "x" * 1000, "values": {}}
    for _ in range(MAX_SAID_DEPTH - 1):
        inner = {"template": "{a}" * 1000, "values": {"a": inner}}
    with pytest.raises(LinkError, match=str(MAX_SENTENCE)):
        decode_said(orjson.dumps(inner))


@given(st.one_of([messages_of(kind) for kind in get_args(FromWorker)]), st.data())
def test_whatever_stands_in_a_field_is_read_or_refused(message: FromWorker, data: Any) -> None:
    frame = orjson.loads(encode(message))
    name = data.draw(st.sampled_from(sorted(frame)))
    frame[name] = data.draw(values)
    try:
        decode_from_worker(exact_json.encode(frame))
    except LinkError as error:
        assert str(error)
