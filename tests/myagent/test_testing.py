from __future__ import annotations

import pytest

from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import ChatModel, Completion, ModelError, ToolSpec, Usage
from myagent.testing import ScriptedModel, Streamed, call

HELLO = [ChatMessage("user", "hello")]
SPEC = ToolSpec("look", "", {"type": "object"})


async def reply_of(model: ScriptedModel) -> list:
    return [piece async for piece in model.stream(HELLO, [SPEC])]


def test_it_is_a_chat_model() -> None:
    assert isinstance(ScriptedModel([]), ChatModel)


@pytest.mark.parametrize(
    ("reply", "pieces"),
    [
        ("Hi", ["Hi", Completion("Hi")]),
        ("", [Completion()]),
        (Completion("Hi", usage=Usage(1, 1)), ["Hi", Completion("Hi", usage=Usage(1, 1))]),
        (call("look"), [Completion(tool_calls=(call("look"),))]),
        ([call("look"), call("a", b=1)], [Completion(tool_calls=(call("look"), call("a", b=1)))]),
        (Streamed(("a", "b")), ["a", "b", Completion("ab")]),
        (Streamed(("a",), (call("look"),)), ["a", Completion("a", tool_calls=(call("look"),))]),
    ],
)
async def test_every_kind_of_reply_is_streamed(reply, pieces: list) -> None:
    assert await reply_of(ScriptedModel([reply])) == pieces


async def test_errors_are_raised_at_once_or_in_the_middle() -> None:
    model = ScriptedModel([ValueError("now"), Streamed(("a",), error=ValueError("later"))])
    with pytest.raises(ValueError, match="now"):
        await reply_of(model)
    with pytest.raises(ValueError, match="later"):
        await reply_of(model)


async def test_what_was_asked_is_recorded() -> None:
    model = ScriptedModel(["a"])
    await reply_of(model)
    (request,) = model.requests
    assert (request.messages, request.tools, request.texts) == ((*HELLO,), (SPEC,), ["hello"])


async def test_a_script_at_its_end_says_so() -> None:
    model = ScriptedModel(["a"])
    await reply_of(model)
    with pytest.raises(ModelError, match="no reply to question 2"):
        await reply_of(model)


async def test_a_script_may_be_a_function_of_the_request() -> None:
    model = ScriptedModel(lambda request: request.texts[-1].upper())
    assert (await reply_of(model))[0] == "HELLO"


def test_a_call_has_its_arguments_as_json() -> None:
    assert call("look", at="海", name="x") == ToolCall("", "look", '{"at":"海","name":"x"}')
