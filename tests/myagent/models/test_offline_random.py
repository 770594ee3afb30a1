"""The offline demo model with tools that nobody has seen before."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myagent.messages import ChatMessage
from myagent.models.offline.model import compose
from tests.myagent.models.random_tools import Case, make_case

SEEDS = range(150)
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])
LABELS = pytest.mark.parametrize("labelled", [True, False], ids=["named", "bare"])


def check_calls(case: Case) -> None:
    reply = compose([ChatMessage("user", case.question)], case.tools)
    called = [(call.name, json.loads(call.arguments)) for call in reply.tool_calls]
    assert called == [(case.expected.name, case.args)], case.question
    jsonschema.validate(called[0][1], case.expected.parameters)


@LANGUAGES
@LABELS
def test_the_right_tool_is_called_with_the_values_of_the_question(
    language: str, labelled: bool
) -> None:
    for seed in SEEDS:
        check_calls(make_case(seed, language=language, labelled=labelled))


@LANGUAGES
def test_the_answer_contains_the_result(language: str) -> None:
    for seed in SEEDS[:40]:
        case = make_case(seed, language=language, labelled=True)
        wish = compose([ChatMessage("user", case.question)], case.tools)
        result = f"value-{seed}"
        messages = [
            ChatMessage("user", case.question),
            wish,
            *(ChatMessage("tool", result, tool_call_id=call.id) for call in wish.tool_calls),
        ]
        assert result in compose(messages, case.tools).content


@LANGUAGES
def test_a_missing_value_is_asked_for_and_not_invented(language: str) -> None:
    for seed in SEEDS:
        case = make_case(seed, language=language, labelled=True, missing=True)
        reply = compose([ChatMessage("user", case.question)], case.tools)
        assert not reply.tool_calls, case.question
        assert case.expected.name in reply.content
        assert case.expected.parameters["required"][0] in reply.content


@LANGUAGES
def test_a_question_about_something_else_calls_nothing(language: str) -> None:
    for seed in SEEDS[:40]:
        case = make_case(seed, language=language, labelled=True)
        other = make_case(seed + 100_000, language=language, labelled=True)
        reply = compose([ChatMessage("user", other.question)], case.tools)
        known = {word for tool in case.tools for word in (tool.name, tool.description)}
        if not known & {other.expected.name, other.expected.description}:
            assert not reply.tool_calls, (case.tools, other.question)


@settings(max_examples=150, deadline=None)
@given(question=st.text(max_size=300), seed=st.integers(0, 20))
def test_no_question_is_too_strange(question: str, seed: int) -> None:
    case = make_case(seed, language="en", labelled=True)
    messages = [ChatMessage("user", question)]
    reply = compose(messages, case.tools)
    assert reply == compose(messages, case.tools)
    assert reply.tool_calls or reply.content
    for call in reply.tool_calls:
        tool = next(tool for tool in case.tools if tool.name == call.name)
        jsonschema.validate(json.loads(call.arguments), tool.parameters)
