import json

from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import NoMoreTools, ToolSpec
from myagent.models.requests import RequestEncoder

SPEC = ToolSpec("f", "does f", {"type": "object", "properties": {}})


def encoded(messages, tools=(), *, encoder=None, without=()):
    encoder = encoder or RequestEncoder('a "model"')
    return json.loads(encoder.encode(messages, tools, without=without))


def test_a_request_holds_model_messages_and_tools():
    messages = [
        ChatMessage("user", "字 \U0001f600"),
        ChatMessage("assistant", tool_calls=(ToolCall("c", "f", "{}"),)),
        ChatMessage("tool", "done", tool_call_id="c"),
    ]
    assert encoded(messages, (SPEC,)) == {
        "model": 'a "model"',
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [SPEC.to_dict()],
        "messages": [message.wire() for message in messages],
    }


def test_without_tools_and_usage_neither_is_named():
    assert set(encoded([], without=["stream_options"])) == {"model", "stream", "messages"}


CALLED = [
    ChatMessage("user", "Q"),
    ChatMessage("assistant", tool_calls=(ToolCall("c", "f", "{}"),)),
    ChatMessage("tool", "done", tool_call_id="c"),
]


def test_tools_stay_declared_while_the_history_has_calls_of_them():
    request = encoded(CALLED, NoMoreTools.of((SPEC,)))
    assert request["tools"] == [SPEC.to_dict()]
    assert request["tool_choice"] == "none"
    assert "tool_choice" not in encoded(CALLED, NoMoreTools.of((SPEC,)), without=["tool_choice"])
    assert "tools" not in encoded(CALLED[:1], NoMoreTools.of((SPEC,)))


def test_tools_that_an_agent_no_longer_has_are_declared_by_their_names():
    request = encoded(CALLED)
    assert [tool["function"]["name"] for tool in request["tools"]] == ["f"]
    assert request["tool_choice"] == "none"


def test_a_lone_surrogate_in_a_message_is_replaced():
    assert encoded([ChatMessage("user", "a\udcffb")])["messages"][0]["content"] == "a\ufffdb"


def test_each_agent_has_its_own_tools():
    encoder = RequestEncoder("m")
    for number in range(200):
        spec = ToolSpec(f"f{number}", "", {})
        (tool,) = encoded([], [spec], encoder=encoder)["tools"]
        assert tool["function"]["name"] == f"f{number}"


def test_a_list_of_tools_may_change():
    encoder, tools = RequestEncoder("m"), [SPEC]
    assert len(encoded([], tools, encoder=encoder)["tools"]) == 1
    tools.append(SPEC)
    assert len(encoded([], tools, encoder=encoder)["tools"]) == 2
