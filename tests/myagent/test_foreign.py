from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest

from myagent.agent import AgentError, ForeignAgent, Runnable
from myagent.messages import ChatMessage
from myagent.models.base import Usage
from myagent.runnable import NoAnswerError
from myagent.steps import Answer, StepStarted, TextDelta, Thought
from myagent.tool import ToolResult
from tests.myagent.runs import HELLO, one, only, refuse_to_be_asked


async def steps_of(agent, history=HELLO) -> list:
    async with aclosing(ForeignAgent(agent).run(history, confirm=refuse_to_be_asked)) as steps:
        return [step async for step in steps]


def streaming(*pieces):
    class Streaming:
        async def astream(self, text):
            for piece in pieces:
                yield piece

    return Streaming()


def running(value):
    class Running:
        async def arun(self, text):
            if isinstance(value, BaseException):
                raise value
            return value

    return Running()


async def test_the_pieces_of_astream_are_the_answer() -> None:
    assert await steps_of(streaming("Hel", {"content": "lo"}, {"text": " "}, {"delta": "you"})) == [
        StepStarted(1),
        TextDelta(1, "Hel"),
        TextDelta(1, "lo"),
        TextDelta(1, " "),
        TextDelta(1, "you"),
        Answer("Hello you", steps=1, usage=Usage()),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Hi", "Hi"),
        ("", ""),
        ({"a": 1}, '{"a":1}'),
        (3, "3"),
        (ToolResult(output="fine"), "fine"),
        ("half \ud800", "half �"),
    ],
)
async def test_what_arun_returns_is_the_answer(value, text: str) -> None:
    assert one(Answer, await steps_of(running(value))).text == text


async def test_an_iterator_that_arun_returns_is_a_stream() -> None:
    async def asynchronous():
        yield "Hel"
        yield {"content": "lo"}

    threads = []

    def plain():
        threads.append(threading.current_thread())
        yield from ("Hel", None, "lo")

    for stream in asynchronous(), plain(), iter(["Hel", "lo"]):
        steps = await steps_of(running(stream))
        assert [step.text for step in only(TextDelta, steps)] == ["Hel", "lo"]
        assert one(Answer, steps).text == "Hello"
    assert threading.main_thread() not in threads


async def test_an_iterator_in_what_arun_returns_is_read_in_a_thread() -> None:
    names = (threading.current_thread().name for _ in range(1))
    assert "myagent:" in one(Answer, await steps_of(running({"by": names}))).text


async def test_a_plain_arun_runs_in_a_thread() -> None:
    class Plain:
        def arun(self, text):
            return f"{text} {threading.current_thread() is threading.main_thread()}"

    assert one(Answer, await steps_of(Plain())).text == "hello False"


async def test_astream_is_preferred() -> None:
    class Both:
        async def arun(self, text):
            raise AssertionError

        async def astream(self, text):
            yield "streamed"

    assert one(Answer, await steps_of(Both())).text == "streamed"


async def test_an_astream_that_has_to_be_awaited_first_works() -> None:
    class Awaited:
        async def astream(self, text):
            return streaming("a", "b").astream(text)

    assert one(Answer, await steps_of(Awaited())).text == "ab"


async def test_functions_are_agents() -> None:
    async def generator(text):
        yield text
        yield "!"

    async def function(text):
        return text + "?"

    assert one(Answer, await steps_of(generator)).text == "hello!"
    assert one(Answer, await steps_of(function)).text == "hello?"
    assert ForeignAgent(generator).name == "generator"


async def test_steps_of_ours_are_passed_on() -> None:
    thought = Thought(1, "hm", ChatMessage("assistant", "a"), Usage(1, 1), 5)
    answer = Answer("my own", steps=4, usage=Usage(1, 1))
    steps = await steps_of(streaming(thought, TextDelta(1, "x"), answer, "never"))
    assert steps == [StepStarted(1), thought, TextDelta(1, "x"), answer]


async def test_text_before_a_new_start_no_longer_counts() -> None:
    steps = await steps_of(streaming("wrong", StepStarted(1), "right"))
    assert one(Answer, steps).text == "right"


async def test_the_last_user_message_is_the_question_and_the_rest_is_the_history() -> None:
    seen = {}

    class Remembering:
        async def arun(self, text, history):
            seen.update(text=text, history=history)
            return "seen"

    history = (
        ChatMessage("user", "a"),
        ChatMessage("assistant", "b"),
        ChatMessage("user", "c"),
        ChatMessage("user", "next?", is_instruction=True),
    )
    await steps_of(Remembering(), history)
    assert seen == {
        "text": "c",
        "history": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    }


@pytest.mark.parametrize(
    "pieces",
    [
        ("Hel", "lo", None),
        (None, "Hel", None, "lo"),
        ({"content": "Hel"}, {"content": "lo"}, {"content": None}),
        ({"role": "assistant"}, {"content": "Hello"}, {}),
        ({"role": "assistant", "content": None}, {"content": "Hello"}, {"finish_reason": "stop"}),
        ({"role": "assistant", "content": ""}, {"delta": "Hello"}, {"delta": None, "index": 0}),
        ({"role": "assistant", "content": None, "reasoning_content": "t"}, "Hello"),
        ("Hello", {"content": None, "audio": None}, {"role": "assistant", "annotations": []}),
    ],
)
async def test_pieces_without_a_text_are_skipped(pieces) -> None:
    assert one(Answer, await steps_of(streaming(*pieces))).text == "Hello"


async def test_an_arun_that_returns_nothing_is_an_error_that_says_so() -> None:
    async def function(text):
        pass

    for agent in running(None), function:
        with pytest.raises(NoAnswerError, match="must return the answer"):
            await steps_of(agent)


@pytest.mark.parametrize("piece", [3, {"other": "x"}, b"x", {"content": 3}])
async def test_a_piece_that_is_no_text_is_an_error_in_a_sentence(piece) -> None:
    with pytest.raises(AgentError, match="it may yield text"):
        await steps_of(streaming("a", piece))


async def test_an_astream_that_is_no_stream_is_an_error_in_a_sentence() -> None:
    class Wrong:
        def astream(self, text):
            return [text]

    with pytest.raises(AgentError, match="must be an async generator"):
        await steps_of(Wrong())


async def test_what_the_agent_raises_comes_out() -> None:
    with pytest.raises(LookupError):
        await steps_of(running(LookupError("x")))


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_an_agent_that_tries_to_exit_is_an_error_in_a_sentence(error) -> None:
    async def generator(text):
        yield "a"
        raise error

    for agent in (generator, running(error)):
        with pytest.raises(AgentError):
            await steps_of(agent)


async def test_closing_closes_the_agents_stream() -> None:
    closed = []

    async def generator(text):
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    async with aclosing(ForeignAgent(generator).run(HELLO, confirm=refuse_to_be_asked)) as steps:
        await anext(steps)
        await anext(steps)
    assert closed == [True]


async def test_cancelling_cancels_arun() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(text):
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    task = asyncio.create_task(steps_of(endless))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.is_set()


async def test_cancelling_a_stream_is_no_error_of_the_agent() -> None:
    started = asyncio.Event()

    async def endless(text):
        yield "a"
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(steps_of(endless))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_facts_are_read_from_the_object() -> None:
    agent = running("x")
    assert isinstance(ForeignAgent(agent), Runnable)
    assert ForeignAgent(agent).name == "Running"
    assert ForeignAgent(agent).max_steps is None
    assert not ForeignAgent(agent).is_continuable
    assert not ForeignAgent(agent).is_idempotent
    agent.name, agent.idempotent, agent.max_steps = "runner", True, 4
    foreign = ForeignAgent(agent)
    assert (foreign.name, foreign.is_idempotent, foreign.max_steps) == ("runner", True, 4)


@pytest.mark.parametrize("thing", [3, "agent", object(), ForeignAgent, lambda text: text])
def test_what_is_no_agent_is_refused(thing) -> None:
    with pytest.raises(TypeError, match="neither arun"):
        ForeignAgent(thing)


async def test_an_agent_without_any_text_answers_with_none() -> None:
    steps = await steps_of(streaming())
    assert only(TextDelta, steps) == []
    assert one(Answer, steps).text == ""
