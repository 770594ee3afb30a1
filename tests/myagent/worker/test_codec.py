"""Every message comes back from its JSON as it was."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Decision,
    OpenCall,
    Resume,
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
from myagent.worker.protocol import (
    AgentInfo,
    FromServer,
    FromWorker,
    LinkError,
    Report,
    RunKey,
    Said,
    Steps,
    StopKind,
    ToolInfo,
)

# Without lone surrogates, which no JSON holds: see the last tests.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(10**20), 10**20)
floats = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
args = st.dictionaries(texts, values, max_size=3)
usages = st.builds(Usage, numbers, numbers)
calls = st.builds(ToolCall, texts, texts, texts)
messages = st.builds(
    ChatMessage,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    texts,
    st.lists(calls, max_size=2).map(tuple),
    st.none() | texts,
)
decisions = st.builds(Decision, st.booleans(), st.none() | args, texts)
open_calls = st.builds(
    OpenCall, calls, st.booleans(), st.none() | decisions, st.booleans(), st.none() | args
)
steps = st.one_of(
    st.builds(Thought, numbers, texts, messages, usages, numbers),
    st.builds(ConfirmationAsked, texts, texts, args, floats | st.just(math.inf)),
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
    st.builds(
        Answer,
        texts,
        numbers,
        usages,
        st.sampled_from(["answer", "max_steps"]),
        st.none() | numbers,
    ),
)
plain = texts | numbers | floats
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
    "steps": st.lists(steps, max_size=3),
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


@given(st.one_of([messages_of(kind) for kind in get_args(FromWorker)]))
def test_what_a_worker_says_comes_back(message: FromWorker) -> None:
    assert decode_from_worker(encode(message)) == message


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
