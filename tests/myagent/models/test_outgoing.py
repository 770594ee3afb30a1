from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.messages import NAMELESS, TOOL_NAME, ChatMessage, Reasoning, ToolCall
from myagent.models import outgoing
from myagent.models.outgoing import legal, legal_name, strict

NAMES = frozenset({"get_weather", "get_time"})


def sent(*messages: ChatMessage, origin: str = "") -> list[dict]:
    return json.loads(b"[%b]" % outgoing.encoded(messages, NAMES, origin))


def user(text: str) -> ChatMessage:
    return ChatMessage("user", text)


def instruction(text: str) -> ChatMessage:
    return ChatMessage("user", text, is_instruction=True)


SYSTEM = ChatMessage("system", "S")
CALLING = ChatMessage("assistant", "", (ToolCall("c", "get_time", "{}"),))
RESULT = ChatMessage("tool", "noon", tool_call_id="c")
ANSWER = ChatMessage("assistant", "Noon.")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([SYSTEM, user("Q"), CALLING, RESULT, ANSWER], None),
        ([SYSTEM, user("Q"), instruction("I")], [("system", "S"), ("user", "Q\n\nI")]),
        (
            [SYSTEM, user("Q"), CALLING, RESULT, instruction("I")],
            [("system", "S\n\nI"), ("user", "Q"), ("assistant", ""), ("tool", "noon")],
        ),
        (
            [user("Q"), CALLING, RESULT, instruction("I")],
            [("system", "I"), ("user", "Q"), ("assistant", ""), ("tool", "noon")],
        ),
        (
            [user("A"), user("B"), ANSWER, ANSWER],
            [("user", "A\n\nB"), ("assistant", "Noon.\n\nNoon.")],
        ),
        (
            [SYSTEM, user("Q"), ChatMessage("system", "T"), ANSWER],
            [("system", "S\n\nT"), ("user", "Q"), ("assistant", "Noon.")],
        ),
        ([instruction("I")], [("user", "I")]),
    ],
)  # fmt: skip
def test_roles_come_in_an_order_that_every_server_takes(messages, told) -> None:
    usual = [(each.role, each.content) for each in messages]
    assert [(each.role, each.content) for each in strict(messages)] == (told or usual)


MESSAGES = st.lists(
    st.sampled_from([SYSTEM, user("Q"), instruction("I"), ANSWER]), max_size=8
) | st.permutations([SYSTEM, user("Q"), instruction("I"), ANSWER, user("R")])


@given(MESSAGES)
def test_no_side_speaks_twice_in_a_row_and_nothing_is_lost(messages) -> None:
    roles = [message.role for message in strict(messages)]
    assert all(one != other for one, other in pairwise(roles))
    assert "system" not in roles[1:]
    told = "".join(message.content for message in strict(messages)).replace("\n", "")
    assert sorted(told) == sorted("".join(message.content for message in messages))


@pytest.mark.parametrize("text", ["", " \n"])
def test_calls_without_a_text_have_none(text) -> None:
    (message,) = sent(ChatMessage("assistant", text, CALLING.tool_calls))
    assert message["content"] is None


@given(st.text())
def test_ids_go_out_as_nine_letters_and_digits_and_pair_calls_with_results(id) -> None:
    asked = ChatMessage("assistant", "", (ToolCall(id, "get_time", "{}"),))
    calling, result = sent(asked, ChatMessage("tool", "noon", tool_call_id=id))
    assert re.fullmatch("[A-Za-z0-9]{9}", result["tool_call_id"])
    assert calling["tool_calls"][0]["id"] == result["tool_call_id"]
    again = ChatMessage("tool", "noon", tool_call_id=result["tool_call_id"])
    assert sent(again)[0] == result


@pytest.mark.parametrize("arguments", ['{"city": "Par', "[1]", "null", "5", "", '{"a":1}{"a":1}'])
def test_arguments_that_are_no_object_go_out_as_an_empty_one(arguments) -> None:
    (message,) = sent(ChatMessage("assistant", "", (ToolCall("c", "get_time", arguments),)))
    assert message["tool_calls"][0]["function"] == {"name": "get_time", "arguments": "{}"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("get_weather", "get_weather"),
        ("functions.get_weather", "get_weather"),
        ("tools/get_weather", "get_weather"),
        ("default_api:get_weather", "get_weather"),
        ("get weather", "get_weather"),
        (" get_weather\n", "get_weather"),
        ("get_weather<|channel|>json", "get_weather"),
        ("functions.get_rain", "get_rain"),
        ("functions.get_weather:0", "get_weather"),
        ("functions.get_rain:12", "get_rain"),
        ("get_weather:1", "get_weather"),
        ("mcp__a.b", "mcp__a_b"),
        ("mcp.get_weather.json", "get_weather"),
        ("<tool>get_weather</tool>", "get_weather"),
        ("<tool>get_rain</tool>", "tool_get_rain_tool"),
        ("x" * 200, "x" * 64),
        ("获取天气", NAMELESS),
        ("", NAMELESS),
        ("get\x00time", "get_time"),
    ],
)
def test_a_name_that_is_none_goes_out_as_the_nearest_tools(name, told) -> None:
    assert legal_name(name, NAMES) == told


@given(st.text(), st.text())
def test_whatever_a_model_calls_goes_out_legal(name, arguments) -> None:
    call = legal(ToolCall("c", name, arguments), NAMES)
    assert TOOL_NAME.fullmatch(call.name)
    assert isinstance(json.loads(call.arguments), dict)
    assert legal(call, NAMES) == call


REASONED = ChatMessage(
    "assistant",
    "",
    CALLING.tool_calls,
    reasoning=Reasoning("here", {"reasoning_content": "Hm"}, [{"extra_content": {"x": 1}}]),
)


def test_reasoning_goes_back_to_its_own_server_alone() -> None:
    (message,) = sent(REASONED, origin="here")
    assert message["reasoning_content"] == "Hm"
    assert message["tool_calls"][0]["extra_content"] == {"x": 1}
    assert sent(REASONED, origin="elsewhere") == sent(CALLING)


def test_a_message_is_the_same_after_the_log() -> None:
    again = ChatMessage.from_dict(json.loads(REASONED.json))
    assert again == REASONED
    assert sent(again, origin="here") == sent(REASONED, origin="here")


def test_a_history_that_needs_no_mending_is_the_same_list() -> None:
    messages = [SYSTEM, user("Q"), CALLING, RESULT, ANSWER, user("R")]
    assert strict(messages) is messages
