from __future__ import annotations

from contextlib import aclosing

import orjson
import pytest

from myagent.messages import ToolCall
from myagent.steps import ConfirmationAsked, Decision, OpenCall, Step, ToolFinished, ToolStarted
from myagent.tool import ToolResult, tool
from myagent.tool.batch import run_calls
from myagent.tool.call import UNKNOWN_EFFECT
from myagent.tool.text import TEXT_LIMIT
from myagent.tool.toolbox import Toolbox
from tests.myagent.runs import Approver, one, only, refuse_to_be_asked

SENT: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_sent() -> None:
    SENT.clear()


@tool(requires_confirmation=True)
async def send(text: str) -> str:
    SENT.append(text)
    return f"sent {text}"


@tool(idempotent=True)
def look(at: str = "home") -> str:
    return f"saw {at}"


@tool
def repeat(text: str, times: int) -> ToolResult:
    return ToolResult(output=text * times)


@tool
def fail() -> ToolResult:
    return ToolResult(error="the sky is falling")


TOOLS = Toolbox([send, look, repeat, fail])


def wish(name: str, text: str | None = None, /, **args) -> ToolCall:
    return ToolCall("call_1", name, orjson.dumps(args).decode() if text is None else text)


async def steps_of(call: OpenCall, confirm=refuse_to_be_asked) -> list[Step]:
    async with aclosing(run_calls([call], TOOLS, confirm)) as steps:
        return [step async for step in steps]


async def test_a_call_is_told_when_it_starts_and_when_it_has_finished() -> None:
    started, finished = await steps_of(OpenCall(wish("look", at="sea")))
    assert started == ToolStarted("call_1", "look", {"at": "sea"})
    assert (finished.status, finished.text, finished.full_length) == ("success", "saw sea", None)
    assert finished.message.to_dict() == {
        "role": "tool", "content": "saw sea", "tool_call_id": "call_1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (wish("lok"), "There is no tool 'lok'. The tools are: send, look, repeat, fail."),
        (wish("look", '{"at": '), "not valid JSON"),
        (wish("look", "[]"), "must be one JSON object"),
        (wish("look", at=3), "at at: 3 is not of type 'string'"),
        (wish("send"), "'text' is a required property"),
    ],
)
async def test_a_call_that_can_not_run_is_an_error_without_a_start(
    call: ToolCall, sentence: str
) -> None:
    (finished,) = await steps_of(OpenCall(call))
    assert isinstance(finished, ToolFinished)
    assert finished.status == "error"
    assert sentence in finished.text
    assert finished.message.content == f"Error: {finished.text}"


async def test_an_agent_without_tools_says_so() -> None:
    run = run_calls([OpenCall(wish("look"))], Toolbox([]), refuse_to_be_asked)
    async with aclosing(run) as steps:
        assert "there are no tools" in (await anext(steps)).text


async def test_a_failed_tool_is_an_error_for_the_model() -> None:
    finished = one(ToolFinished, await steps_of(OpenCall(wish("fail"))))
    assert (finished.status, finished.text) == ("error", "the sky is falling")
    assert finished.message.content == "Error: the sky is falling"


async def test_no_output_is_said_to_the_model_only() -> None:
    finished = one(ToolFinished, await steps_of(OpenCall(wish("repeat", text="", times=1))))
    assert finished.text == ""
    assert finished.message.content == "(The tool gave no output.)"


async def test_a_long_result_is_cut_and_tells_its_length() -> None:
    length = TEXT_LIMIT // 3 + 10
    finished = one(ToolFinished, await steps_of(OpenCall(wish("repeat", text="界", times=length))))
    assert len(finished.text.encode()) <= TEXT_LIMIT
    assert finished.full_length == length
    assert f"{length} characters" in finished.message.content


async def test_an_approved_call_runs() -> None:
    approver = Approver(Decision(approved=True))
    asked, started, finished = await steps_of(OpenCall(wish("send", text="hi")), approver.confirm)
    assert asked == ConfirmationAsked("call_1", "send", {"text": "hi"}, timeout_s=300)
    assert approver.asked == [asked]
    assert isinstance(started, ToolStarted)
    assert finished.message.content == "sent hi"


async def test_a_declined_call_does_not_run_and_carries_the_reason() -> None:
    approver = Approver(Decision(approved=False, feedback="not today"))
    steps = await steps_of(OpenCall(wish("send", text="hi")), approver.confirm)
    finished = one(ToolFinished, steps)
    assert (finished.status, only(ToolStarted, steps), SENT) == ("declined", [], [])
    assert finished.text == (
        "The call was declined, the tool did not run. The reason given: not today"
    )
    assert finished.message.content == finished.text


async def test_changed_arguments_are_used_and_the_model_is_told() -> None:
    approver = Approver(Decision(approved=True, args={"text": "bye"}, feedback="nicer"))
    steps = await steps_of(OpenCall(wish("send", text="hi")), approver.confirm)
    assert one(ToolStarted, steps).args == {"text": "bye"}
    assert SENT == ["bye"]
    finished = one(ToolFinished, steps)
    assert finished.text == "sent bye"
    assert finished.message.content == (
        'The user changed the arguments of this call to: {"text":"bye"}\n'
        "The user approved this call and said: nicer\n"
        "sent bye"
    )


async def test_arguments_given_back_unchanged_are_no_change() -> None:
    approver = Approver(Decision(approved=True, args={"text": "hi"}))
    finished = one(
        ToolFinished, await steps_of(OpenCall(wish("send", text="hi")), approver.confirm)
    )
    assert finished.message.content == "sent hi"


async def test_changed_arguments_are_checked_again() -> None:
    approver = Approver(Decision(approved=True, args={"text": 3}))
    steps = await steps_of(OpenCall(wish("send", text="hi")), approver.confirm)
    finished = one(ToolFinished, steps)
    assert (finished.status, only(ToolStarted, steps), SENT) == ("error", [], [])
    assert "The user approved the call with changed arguments" in finished.text
    assert "at text: 3 is not of type 'string'" in finished.text


async def test_changed_arguments_may_be_longer_than_64_bits() -> None:
    @tool(requires_confirmation=True)
    def find(number: int) -> str:
        return f"found {number}"

    approver = Approver(Decision(approved=True, args={"number": 10**20 + 1}))
    call = OpenCall(wish("find", number=1))
    async with aclosing(run_calls([call], Toolbox([find]), approver.confirm)) as calls:
        finished = one(ToolFinished, [step async for step in calls])
    assert finished.message.content == (
        'The user changed the arguments of this call to: {"number":100000000000000000001}\n'
        "found 100000000000000000001"
    )


async def test_after_an_interruption_a_started_tool_has_an_unknown_effect() -> None:
    call = OpenCall(wish("send", text="hi"), has_started=True, started_args={"text": "hi"})
    (finished,) = await steps_of(call)
    assert (finished.status, finished.text, SENT) == ("unknown", UNKNOWN_EFFECT, [])
    assert finished.message.content == UNKNOWN_EFFECT


async def test_after_an_interruption_an_idempotent_tool_runs_again_without_a_second_start() -> None:
    call = OpenCall(wish("look", at="sea"), has_started=True, started_args={"at": "lake"})
    (finished,) = await steps_of(call)
    assert finished.text == "saw lake"


async def test_a_started_tool_that_is_gone_has_an_unknown_effect() -> None:
    (finished,) = await steps_of(OpenCall(wish("gone"), has_started=True))
    assert finished.status == "unknown"


async def test_a_decision_made_before_the_interruption_counts() -> None:
    approved = OpenCall(wish("send", text="a"), has_asked=True, decision=Decision(True))
    declined = OpenCall(wish("send", text="b"), has_asked=True, decision=Decision(False))
    assert [type(step) for step in await steps_of(approved)] == [ToolStarted, ToolFinished]
    assert one(ToolFinished, await steps_of(declined)).status == "declined"
    assert SENT == ["a"]


async def test_a_question_asked_before_the_interruption_is_not_asked_twice() -> None:
    approver = Approver(Decision(approved=True))
    steps = await steps_of(OpenCall(wish("send", text="hi"), has_asked=True), approver.confirm)
    assert [type(step) for step in steps] == [ToolStarted, ToolFinished]
    assert [asked.step_id for asked in approver.asked] == ["call_1"]


async def test_changed_arguments_are_told_after_an_interruption_as_well() -> None:
    call = OpenCall(
        wish("look", at="sea"),
        has_asked=True,
        decision=Decision(approved=True, args={"at": "lake"}),
        has_started=True,
        started_args={"at": "lake"},
    )
    (finished,) = await steps_of(call)
    assert finished.message.content == (
        'The user changed the arguments of this call to: {"at":"lake"}\nsaw lake'
    )
