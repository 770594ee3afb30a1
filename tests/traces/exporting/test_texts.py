"""Chat messages in the form of the conventions, whatever is in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from traces.exporting import texts

LONG = {"text": "abc", "characters": 70_000}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"role": "user", "content": "hi"}, [{"type": "text", "content": "hi"}]),
        ({"role": "user", "content": ""}, []),
        ({"role": "assistant"}, []),
        ({"role": "user", "content": LONG}, [{"type": "text", "content": "abc…"}]),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
            [
                {"type": "text", "content": "a"},
                {"type": "other", "content": {"type": "image_url"}},
            ],
        ),
        (
            {"role": "tool", "tool_call_id": "c", "content": LONG},
            [{"type": "tool_call_response", "id": "c", "response": "abc…"}],
        ),
    ],
)
def test_a_message(message: dict[str, Any], parts: list[Any]) -> None:
    assert json.loads(texts.given([message])) == [{"role": message["role"], "parts": parts}]


@pytest.mark.parametrize(
    ("arguments", "told"), [('{"a":1}', {"a": 1}), ('{"a"', '{"a"'), ("•••", "•••"), (LONG, "abc…")]
)
def test_a_call(arguments: Any, told: Any) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    reply = {"role": "assistant", "content": None, "tool_calls": [call]}
    (message,) = json.loads(texts.came({"message": reply}))
    part = {"type": "tool_call", "id": "c", "name": "f", "arguments": told}
    assert (message["parts"], message["finish_reason"]) == ([part], "tool_call")


@pytest.mark.parametrize(
    ("value", "told"),
    [("text", "text"), ({"a": LONG}, '{"a":"abc…"}'), (None, "null"), (LONG, "abc…")],
)
def test_arguments_and_results(value: Any, told: str) -> None:
    assert texts.value(value) == told
