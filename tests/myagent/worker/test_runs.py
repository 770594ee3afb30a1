"""A run over a link, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from myagent import tool
from myagent.agent import Agent, Runnable
from myagent.loading import AgentFileError
from myagent.messages import ChatMessage
from myagent.models.base import ModelError, Usage
from myagent.sentence import Said, Sentence
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Step,
    StepStarted,
    TextDelta,
    Thought,
    ToolFinished,
    ToolStarted,
)
from myagent.testing import call
from myagent.worker.protocol import Accept, Ping, Pong, Refuse, Stepping, Steps, Stopped, Text
from myagent.worker.sessions import Source
from tests.inline_worker import inline_worker
from tests.myagent.worker.agents import echo, scripted, yielding
from tests.myagent.worker.dialling import dialled, start


async def stopped_of(source: Source, **fields: Any) -> Stopped:
    """How a run of such an agent ends; its steps are accepted. The link outlives it."""
    with inline_worker(source) as worker:
        async with dialled(worker.path) as link:
            link.say(start(**fields))
            while not isinstance(message := await link.next(), Stopped):
                if isinstance(message, Steps):
                    link.say(Accept(message.key))
            link.say(Ping(1))
            assert (await link.hear(Pong)).report.running == 0
    return message


async def test_a_run_is_told_step_by_step_and_its_last_thought_with_the_answer() -> None:
    with inline_worker(echo) as worker:
        async with dialled(worker.path) as link:
            link.say(start("hello"))
            stepping = await link.hear(Stepping)
            text = await link.hear(Text)
            steps = await link.hear(Steps)
    assert (stepping.step, text.step, text.text) == (1, 1, "hello")
    thought, answer = steps.steps
    assert isinstance(thought, Thought) and isinstance(answer, Answer)
    assert answer.text == "hello"


async def test_a_tool_starts_once_the_log_has_it() -> None:
    started: list[str] = []

    @tool
    def work(text: str) -> str:
        started.append(text)
        return text

    source = scripted(call("work", text="a"), "done", tools=[work])
    with inline_worker(source) as worker:
        async with dialled(worker.path) as link:
            begun = start()
            link.say(begun)
            assert isinstance((await link.hear(Steps)).steps[0], Thought)
            link.say(Accept(begun.key))
            assert isinstance((await link.hear(Steps)).steps[0], ToolStarted)
            assert not started
            link.say(Accept(begun.key))
            [finished] = (await link.hear(Steps)).steps
            assert isinstance(finished, ToolFinished) and finished.text == "a"
            assert started == ["a"]


async def test_a_run_whose_steps_are_refused_ends() -> None:
    with inline_worker(scripted(call("work"), "done")) as worker:
        async with dialled(worker.path) as link:
            link.say(start())
            link.say(Refuse((await link.hear(Steps)).key))
            assert (await link.hear(Stopped)).kind == "refused"


async def test_text_goes_at_once_and_then_together() -> None:
    pieces = [str(number) for number in range(200)]
    deltas = [TextDelta(1, piece) for piece in pieces]
    source = yielding(StepStarted(1), *deltas, Answer("x", 1, Usage()))
    with inline_worker(source) as worker:
        async with dialled(worker.path) as link:
            await link.steps_of(start())
    texts = [message.text for message in link.heard if isinstance(message, Text)]
    assert texts[0] == "0"
    assert "".join(texts) == "".join(pieces)
    assert len(texts) < len(pieces) / 2


# Ends without an answer.


async def test_a_model_that_fails_is_told_in_its_own_sentence() -> None:
    error = ModelError("Status {status}.", is_retryable=True, status=503)
    stopped = await stopped_of(scripted(error))
    assert (stopped.kind, stopped.is_retryable) == ("model_error", True)
    assert stopped.said == Said("Status {status}.", {"status": 503})


async def test_a_factory_that_fails_is_told_in_a_sentence_with_its_traceback() -> None:
    async def make() -> Runnable:
        try:
            raise ZeroDivisionError("in the factory")
        except ZeroDivisionError as error:
            raise AgentFileError(Sentence("{file} is wrong.", file="a.py")) from error

    stopped = await stopped_of(make)
    assert stopped.kind == "failed"
    assert stopped.said == Said("{file} is wrong.", {"file": "a.py"})
    assert "in the factory" in stopped.detail


@pytest.mark.parametrize(
    "steps",
    [
        (StepStarted(1),),
        ("no step",),
        (TextDelta("one", "text"),),  # type: ignore[arg-type]
        (ToolFinished("id", "t", "success", "text", 1, None),),  # type: ignore[arg-type]
        (ConfirmationAsked("id", "t", {}, "soon"),),  # type: ignore[arg-type]
        (Answer("text", "two", Usage()),),  # type: ignore[arg-type]
    ],
    ids=["no answer", "no step", "text", "result", "question", "answer"],
)
async def test_steps_that_are_none_end_their_run_alone(steps: Sequence[Any]) -> None:
    stopped = await stopped_of(yielding(*steps))
    assert stopped.kind == "failed" and "Traceback" in stopped.detail


async def test_steps_that_a_subclass_of_our_agent_makes_are_looked_at_as_well() -> None:
    class Own(Agent):
        async def run(self, *_: Any, **options: Any) -> AsyncGenerator[Step, None]:
            yield ToolStarted("call", "tool", "no arguments")  # type: ignore[arg-type]

    async def make() -> Runnable:
        return Own()

    stopped = await stopped_of(make)
    assert stopped.kind == "failed" and "'args' must be an object" in stopped.detail


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_an_agent_that_tries_to_end_more_than_itself_has_failed(error: Any) -> None:
    async def make() -> Runnable:
        raise error

    stopped = await stopped_of(make)
    assert stopped.kind == "failed" and type(error).__name__ in stopped.detail


async def test_a_task_of_an_agent_that_exits_leaves_the_others_alone() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    async def make() -> Runnable:
        task = asyncio.create_task(leave())
        await asyncio.wait({task})
        return await echo()

    with inline_worker(make) as worker:
        async with dialled(worker.path) as link:
            assert isinstance((await link.steps_of(start()))[-1], Answer)


async def test_a_step_that_fits_into_no_frame_ends_its_run_alone() -> None:
    thought = Thought(1, "x" * (17 << 20), ChatMessage("assistant"), Usage(), 0)
    stopped = await stopped_of(yielding(thought, Answer("", 1, Usage())))
    assert stopped.kind == "too_large"


async def test_what_is_told_of_an_error_is_bounded() -> None:
    error = ModelError("{text}", is_retryable=False, text="x" * 10_000_000)
    stopped = await stopped_of(scripted(error))
    assert stopped.said is not None
    assert len(stopped.said.template) < 10_000 and len(stopped.detail) < 20_000


async def test_an_agent_that_can_neither_go_on_nor_start_again_is_cut_off() -> None:
    stopped = await stopped_of(yielding(Answer("", 1, Usage())), is_continued=True)
    assert stopped.kind == "cut_off"
