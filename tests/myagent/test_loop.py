from __future__ import annotations

import asyncio
import re
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent import asking, create_react_agent
from myagent.agent import Agent
from myagent.loop import MOST_OF_A_NAME, NO_MORE_TOOLS, with_results
from myagent.messages import ChatMessage, Reasoning, ToolCall
from myagent.models.base import Completion, ModelError, Usage
from myagent.steps import (
    Answer,
    Decision,
    OpenCall,
    Resume,
    StepStarted,
    TextDelta,
    Thought,
    ToolFinished,
    ToolStarted,
)
from myagent.testing import ScriptedModel, Streamed, call
from myagent.tool import tool
from tests.myagent.runs import HELLO, Approver, one, only, steps_of


@tool
async def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@tool(idempotent=True)
def look() -> str:
    return "sea"


@tool(requires_confirmation=True)
def send(text: str) -> str:
    return f"sent {text}"


def agent_with(*replies, **options) -> tuple[Agent, ScriptedModel]:
    model = ScriptedModel(replies)
    return create_react_agent("tested", [add, look, send], model=model, **options), model


async def test_a_reply_without_calls_is_the_answer() -> None:
    agent, _ = agent_with(Streamed(("Good ", "day")))
    steps = await steps_of(agent)
    assert [type(step) for step in steps] == [StepStarted, TextDelta, TextDelta, Thought, Answer]
    assert steps[3].message == ChatMessage("assistant", "Good day")
    assert steps[-1] == Answer("Good day", steps=1, usage=Usage())
    assert steps[-1].message == steps[3].message


async def test_a_call_is_run_and_its_result_goes_back_to_the_model() -> None:
    agent, model = agent_with(call("add", a=1, b=2), "Three.")
    steps = await steps_of(agent)
    assert [type(step) for step in steps] == [
        StepStarted, Thought, ToolStarted, ToolFinished, StepStarted, TextDelta, Thought, Answer,
    ]  # fmt: skip
    thought = steps[1]
    assert model.requests[1].messages == (*HELLO, thought.message, steps[3].message)
    assert steps[3].message.content == "3"
    assert (steps[-1].text, steps[-1].steps) == ("Three.", 2)


async def test_each_call_has_a_fresh_id_that_its_steps_carry() -> None:
    same = ToolCall("call_0", "look", "{}")
    agent, _ = agent_with([same, same], "Done.")
    steps = await steps_of(agent)
    ids = [wanted.id for wanted in steps[1].message.tool_calls]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("call_[0-9a-f]{24}", step_id) for step_id in ids)
    assert [step.step_id for step in only(ToolStarted, steps)] == ids
    assert [step.step_id for step in only(ToolFinished, steps)] == ids
    assert [step.message.tool_call_id for step in only(ToolFinished, steps)] == ids


async def test_the_context_has_the_results_in_the_order_of_the_calls() -> None:
    approver = Approver()
    agent, model = agent_with([call("send", text="x"), call("look")], "Done.")
    async with aclosing(agent.run(HELLO, confirm=approver.confirm)) as steps:
        finished = []
        async for step in steps:
            if isinstance(step, ToolFinished):
                finished.append(step.tool)
                approver.decide(Decision(approved=True))
    assert finished == ["look", "send"]
    assert model.requests[1].texts[-2:] == ["sent x", "sea"]


async def test_the_prompts_go_along_and_the_next_step_prompt_is_never_kept() -> None:
    agent, model = agent_with(
        call("look"), "Done.", system_prompt="Be kind.", next_step_prompt="What next?"
    )
    await steps_of(agent)
    for request in model.requests:
        assert request.messages[0] == ChatMessage("system", "Be kind.")
        assert request.messages[-1] == ChatMessage("user", "What next?")
        assert request.messages[-1].is_instruction
        assert request.texts.count("What next?") == 1
    assert [len(request.messages) for request in model.requests] == [3, 5]


async def test_without_prompts_the_model_sees_the_conversation_alone() -> None:
    agent, model = agent_with("Hi.")
    await steps_of(agent)
    assert model.requests[0].messages == HELLO
    assert [spec.name for spec in model.requests[0].tools] == ["add", "look", "send"]


async def test_usage_is_summed_over_the_steps() -> None:
    agent, _ = agent_with(
        Completion(tool_calls=(call("look"),), usage=Usage(10, 1)),
        Completion("Done.", reasoning="hm", usage=Usage(20, 2)),
    )
    steps = await steps_of(agent)
    assert [thought.usage for thought in only(Thought, steps)] == [Usage(10, 1), Usage(20, 2)]
    assert only(Thought, steps)[1].reasoning == "hm"
    assert one(Answer, steps).usage == Usage(30, 3)


@pytest.mark.parametrize(
    ("last_reply", "text"),
    [
        ("Enough.", "Enough."),
        (call("look"), "I stopped after 2 steps without reaching an answer."),
        (
            Streamed(("Let me see.",), (call("look"),)),
            "Let me see.\n\nI stopped after 2 steps without reaching an answer.",
        ),
    ],
)
async def test_after_max_steps_one_step_without_tools_gives_the_answer(last_reply, text) -> None:
    agent, model = agent_with(call("look"), call("look"), last_reply, max_steps=2)
    steps = await steps_of(agent)
    answer = one(Answer, steps)
    assert (answer.text, answer.stop_reason, answer.steps) == (text, "max_steps", 3)
    assert [len(request.tools) for request in model.requests] == [3, 3, 0]
    assert "".join(d.text for d in only(TextDelta, steps) if d.step == 3) == text
    assert only(Thought, steps)[-1].message == ChatMessage("assistant", text)
    assert len(only(ToolStarted, steps)) == 2


async def test_the_step_without_tools_tells_the_model_so_and_knows_what_was_offered() -> None:
    agent, model = agent_with(call("look"), "Done.", max_steps=1, next_step_prompt="Next?")
    seen = []
    stream = model.stream
    model.stream = lambda messages, tools: seen.append(tools) or stream(messages, tools)
    await steps_of(agent)
    first, last = model.requests
    assert first.texts[-1] == "Next?"
    assert last.texts[-1] == f"Next?\n\n{NO_MORE_TOOLS}"
    assert last.messages[-1].is_instruction
    assert (len(seen[1]), seen[1].offered) == (0, seen[0])


@pytest.mark.parametrize("cut", ["length", "content_filter"])
@pytest.mark.parametrize("max_steps", [1, 5])
async def test_what_cut_an_answer_off_is_why_it_stopped(cut, max_steps) -> None:
    agent, _ = agent_with(call("look"), Completion("The capital is", cut=cut), max_steps=max_steps)
    assert one(Answer, await steps_of(agent)).stop_reason == cut


async def test_reasoning_that_is_kept_goes_along_with_the_calls_alone() -> None:
    kept = Reasoning("here", {"reasoning": "hm"})
    agent, model = agent_with(
        Completion(tool_calls=(call("look"),), kept=kept), Completion("Done.", kept=kept)
    )
    steps = await steps_of(agent)
    assert model.requests[1].messages[1].reasoning == kept
    assert [step.message.reasoning for step in only(Thought, steps)] == [kept, None]


async def test_a_name_without_an_end_is_cut() -> None:
    agent, _ = agent_with(call("x" * 5000), "Done.")
    finished = one(ToolFinished, await steps_of(agent))
    assert (finished.status, len(finished.tool)) == ("error", MOST_OF_A_NAME)


async def test_an_empty_last_reply_becomes_a_plain_sentence() -> None:
    agent, _ = agent_with(call("look"), "", "", max_steps=1)
    answer = one(Answer, await steps_of(agent))
    assert answer.text == "I stopped after 1 steps without reaching an answer."
    assert answer.stop_reason == "max_steps"


async def test_an_answer_in_the_last_allowed_step_is_an_ordinary_one() -> None:
    agent, _ = agent_with(call("look"), "Done.", max_steps=2)
    assert one(Answer, await steps_of(agent)).stop_reason == "answer"


async def test_two_empty_replies_are_a_model_error() -> None:
    agent, _ = agent_with("", " ")
    with pytest.raises(ModelError, match="empty reply") as caught:
        await steps_of(agent)
    assert caught.value.is_retryable


async def test_text_of_an_attempt_that_broke_off_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "RETRY_DELAYS_S", (0, 0))
    broken = Streamed(("Hel",), error=ModelError("Lost.", is_retryable=True))
    agent, _ = agent_with(broken, "Hi.")
    steps = await steps_of(agent)
    assert [step.step for step in only(StepStarted, steps)] == [1, 1]
    assert one(Answer, steps) == Answer("Hi.", steps=1, usage=Usage())


WANTED = ChatMessage(
    "assistant", "", (ToolCall("c1", "look", "{}"), ToolCall("c2", "add", '{"a": 1, "b": 2}'))
)


async def test_an_interrupted_run_goes_on_with_its_open_calls() -> None:
    agent, model = agent_with("Done.")
    known = ChatMessage("tool", "3", tool_call_id="c2")
    resume = Resume(step=1, open_calls=(OpenCall(WANTED.tool_calls[0]),), usage=Usage(7, 1))
    steps = await steps_of(agent, (*HELLO, WANTED, known), resume=resume)
    assert [type(step) for step in steps] == [
        ToolStarted, ToolFinished, StepStarted, TextDelta, Thought, Answer,
    ]  # fmt: skip
    assert model.requests[0].texts == ["hello", "", "sea", "3"]
    assert steps[-1] == Answer("Done.", steps=2, usage=Usage(7, 1))


async def test_an_interrupted_run_whose_results_are_known_asks_the_model() -> None:
    agent, _ = agent_with("Done.")
    known = [ChatMessage("tool", "x", tool_call_id=name) for name in ("c1", "c2")]
    steps = await steps_of(agent, (*HELLO, WANTED, *known), resume=Resume(step=1))
    assert steps[0] == StepStarted(2)


async def test_max_steps_counts_over_the_whole_run() -> None:
    agent, model = agent_with("Enough.", max_steps=1)
    resume = Resume(step=1, open_calls=(OpenCall(WANTED.tool_calls[0]),))
    answer = one(Answer, await steps_of(agent, (*HELLO, WANTED), resume=resume))
    assert answer.stop_reason == "max_steps"
    assert model.requests[0].tools == ()


@pytest.mark.parametrize(("step", "reason"), [(1, "answer"), (3, "max_steps")])
async def test_a_run_interrupted_after_its_last_reply_only_answers(step: int, reason: str) -> None:
    agent, model = agent_with(max_steps=2)
    history = (*HELLO, ChatMessage("assistant", "Done."))
    steps = await steps_of(agent, history, resume=Resume(step=step, usage=Usage(1, 1)))
    assert steps == [Answer("Done.", steps=step, usage=Usage(1, 1), stop_reason=reason)]
    assert model.requests == []


async def test_the_callers_history_is_left_alone() -> None:
    history = [*HELLO]
    agent, _ = agent_with(call("look"), "Done.")
    await steps_of(agent, history)
    assert history == [*HELLO]


async def test_closing_a_run_in_the_middle_of_an_answer_closes_the_models_stream() -> None:
    closed = asyncio.Event()

    class Model:
        async def stream(self, messages, tools):
            try:
                yield "Hel"
                await asyncio.Event().wait()
            finally:
                closed.set()

    agent = create_react_agent("tested", model=Model())
    async with aclosing(agent.run(HELLO, confirm=Approver().confirm)) as steps:
        await anext(steps)
        assert await anext(steps) == TextDelta(1, "Hel")
    assert closed.is_set()


async def test_cancelling_a_run_cancels_its_tools() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    @tool
    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    agent = create_react_agent("tested", [endless], model=ScriptedModel([call("endless")]))
    task = asyncio.create_task(steps_of(agent))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_many_runs_of_one_agent_do_not_meet() -> None:
    model = ScriptedModel(
        lambda request: (
            f"{request.texts[0]} {request.texts[-1]}" if len(request.messages) > 1 else call("look")
        )
    )
    agent = create_react_agent("tested", [look], model=model)
    questions = [(ChatMessage("user", str(number)),) for number in range(20)]
    runs = await asyncio.gather(*(steps_of(agent, question) for question in questions))
    assert [one(Answer, run).text for run in runs] == [f"{number} sea" for number in range(20)]


@given(st.permutations(range(5)), st.integers(0, 5))
def test_results_are_put_in_the_order_of_the_calls(order: list[int], known: int) -> None:
    calls = tuple(ToolCall(f"c{n}", "look", "{}") for n in range(5))
    results = [ChatMessage("tool", str(n), tool_call_id=f"c{n}") for n in order]
    context = [*HELLO, ChatMessage("assistant", "", calls), *results[:known]]
    assert [m.content for m in with_results(context, results[known:])[2:]] == list("01234")


def test_results_without_calls_in_sight_are_kept() -> None:
    result = ChatMessage("tool", "x", tool_call_id="c1")
    assert with_results(HELLO, [result]) == [*HELLO, result]
