"""The offline demo model with tools and questions that nobody has seen before."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from myagent.messages import ChatMessage
from myagent.models.base import ToolSpec
from myagent.models.offline.model import compose

ENGLISH = ["weather", "city", "lamp", "text", "order", "days", "Oslo", "red", "not", "of", "says"]
CHINESE = ["北京", "天气", "内容", "城市", "说", "和"]
WORDS = st.sampled_from([*ENGLISH, *CHINESE])
NAMES = st.one_of(WORDS, st.text(max_size=8))
ENDS = 4
"""Replies within which every question has its answer."""


def schema(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A JSON schema with these keywords, each there or not."""
    optional = {name: value for name, value in fields.items() if name != "type"}
    return st.fixed_dictionaries({"type": fields["type"]}, optional=optional)


LENGTHS = st.integers(0, 12)
SCALARS = st.one_of(
    schema(
        type=st.just("string"),
        enum=st.lists(WORDS, min_size=1, unique=True),
        pattern=st.sampled_from([r"^[Aa]\d{4}$", "o"]),
        minLength=LENGTHS,
        maxLength=LENGTHS,
        description=NAMES,
    ),
    schema(
        type=st.sampled_from(["integer", "number"]),
        minimum=st.integers(-9, 9),
        multipleOf=st.integers(1, 3),
        const=st.integers(0, 9),
    ),
    schema(type=st.just("boolean")),
    schema(type=st.sampled_from([["null", "string"], ["integer", "string"], "null", "object"])),
    st.just({}),
    st.just({"$ref": "#/$defs/Self"}),
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        schema(type=st.just("array"), items=inner, minItems=LENGTHS, uniqueItems=st.booleans()),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=3,
)


@st.composite
def tools(draw: st.DrawFn) -> ToolSpec:
    properties = draw(st.dictionaries(NAMES, SCHEMAS, max_size=4))
    required = [name for name in properties if draw(st.integers(0, 3)) == 0]
    definitions = {"Self": {"anyOf": [{"$ref": "#/$defs/Self"}, {"type": "string"}]}}
    parameters = {"type": "object", "properties": properties, "required": required}
    extra = draw(st.sampled_from([{}, {"additionalProperties": False}, {"minProperties": 2}]))
    name = draw(st.lists(st.sampled_from(ENGLISH), min_size=1, max_size=3).map("_".join))
    description = draw(st.lists(WORDS, max_size=5).map(" ".join))
    return ToolSpec(name, description, {**parameters, "$defs": definitions, **extra})


SAID = st.one_of(
    WORDS,
    WORDS,
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.text(max_size=12),
    st.sampled_from(
        ["A1002", '"a b"', "“甲”", "=", ":", "：", ",", "和", "and", "yes", "off", "{}"]
    ),
)
QUESTIONS = st.one_of(st.text(max_size=200), st.lists(SAID, min_size=3, max_size=20).map(" ".join))


def is_allowed(call_args: Any, spec: ToolSpec) -> bool:
    return not list(jsonschema.Draft202012Validator(spec.parameters).iter_errors(call_args))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(tools(), max_size=4, unique_by=lambda tool: tool.name),
    st.lists(QUESTIONS, max_size=3),
    st.text(),
)
def test_it_never_raises_keeps_to_the_schemas_and_ends(
    specs: list[ToolSpec], questions: list[str], result: str
) -> None:
    by_name = {spec.name: spec for spec in specs}
    messages: list[ChatMessage] = []
    for question in questions:
        messages.append(ChatMessage("user", question))
        for _ in range(ENDS):
            reply = compose(messages, specs)
            assert reply == compose(messages, specs)
            messages.append(reply)
            if not reply.tool_calls:
                break
            for call in reply.tool_calls:
                assert is_allowed(json.loads(call.arguments), by_name[call.name])
                messages.append(ChatMessage("tool", result, tool_call_id=call.id))
        assert reply.content and not reply.tool_calls
    ids = [call.id for message in messages for call in message.tool_calls]
    assert len(ids) == len(set(ids))
