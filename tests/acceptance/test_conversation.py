"""Talking to an agent: what a client sees of a message, its tools and its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_model_control import FakeModelControl
from tests.recording import (
    Frame,
    Recorder,
    assert_gapless,
    assert_one_end_each,
    durable,
    kinds,
    log_of,
    text_of,
)
from tests.runners import SERVERS, Runner

from .conftest import Serve

pytestmark = pytest.mark.both_databases(when_long=True)

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module", params=SERVERS)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py", server=request.param) as runner:
        yield runner


def results(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame["event"] == "agent.tool_result"]


async def answered(client: Recorder, session: str, text: str, **metadata: Any) -> list[Frame]:
    """The frames from a message's sending to its final answer."""
    start = len(client.frames)
    end = await client.ask(session, text, **metadata)
    assert end["event"] == "agent.final_answer", end
    return client.frames[start:]


# Messages and answers.


async def test_a_session_says_whom_it_is_with(client: Recorder) -> None:
    connected = client.frames[0]
    assert connected["metadata"]["protocol"] == 1
    await client.create_session(client={"page": "test"}, tags=["a"])
    created = client.frames[-1]
    assert created["seq"] == 1
    assert created["metadata"] == {
        "agent_name": "tools",
        "service": "tools",
        "connection_id": connected["metadata"]["connection_id"],
        "model": "fake",
    }


async def test_a_message_is_acknowledged_then_thought_about_then_answered(
    client: Recorder, session: str
) -> None:
    frames = await answered(client, session, "Hello", message_id="m-1")
    assert kinds(durable(frames)) == ["user.message", "agent.thinking", "agent.final_answer"]
    echo, thought, answer = durable(frames)
    assert echo["content"] == "Hello"
    assert echo["metadata"]["message_id"] == "m-1"
    assert echo["metadata"]["position"] == 0
    assert frames[1]["event"] == "agent.thinking"
    assert frames[1]["metadata"] == {"step": 1, "status": "started"}
    assert thought["metadata"]["status"] == "completed"
    assert thought["metadata"]["step"] == 1
    assert answer["content"] == "Answer to: Hello"
    assert answer["metadata"]["run_id"] == echo["metadata"]["run_id"]
    assert answer["metadata"]["message_id"] == "m-1"


async def test_every_frame_has_its_envelope(client: Recorder, session: str) -> None:
    await answered(client, session, "Hello")
    for frame in client.frames:
        assert TIMESTAMP.fullmatch(frame["timestamp"])
        assert isinstance(frame["metadata"], dict)
        assert frame["event"].startswith("system.") or frame["session_id"] == session
    for frame in durable(client.frames):
        assert frame["event_id"] == f"{session}:{frame['seq']}"
    assert_gapless(client.frames)


@pytest.mark.parametrize(
    "text", ["Hello there", "今天北京的天气怎么样？", "👩‍👩‍👧‍👦 and 🏳️‍🌈 – 𝔘𝔫𝔦𝔠𝔬𝔡𝔢"]
)
async def test_the_pieces_of_an_answer_are_the_answer(
    client: Recorder, session: str, text: str
) -> None:
    frames = await answered(client, session, f"{text} [[chunks=40 delay_ms=3]]")
    answer = frames[-1]
    assert answer["content"] == f"Answer to: {text}"
    assert text_of(frames, answer["metadata"]["run_id"]) == answer["content"]
    partials = [frame for frame in frames if frame["event"] == "agent.partial_answer"]
    assert len(partials) > 1
    told = 0
    for partial in partials:
        assert partial["metadata"]["offset"] == told, "offsets count code points"
        told += len(partial["content"])


async def test_an_answer_tells_what_it_took(client: Recorder, session: str) -> None:
    frames = await answered(client, session, '[[tool add {"a": 1, "b": 2}]] [[chunks=4]] sum')
    thoughts = [frame for frame in durable(frames) if frame["event"] == "agent.thinking"]
    metadata = frames[-1]["metadata"]
    assert metadata["steps"] == 2
    assert metadata["stop_reason"] == "answer"
    assert metadata["duration_ms"] >= sum(each["metadata"]["duration_ms"] for each in thoughts)
    for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert metadata["usage"][key] == sum(each["metadata"]["usage"][key] for each in thoughts)
        assert metadata["usage"][key] > 0


async def test_an_answer_tells_what_was_cached_and_what_was_reasoning(
    client: Recorder, session: str
) -> None:
    question = '[[tool add {"a": 1, "b": 2}]] [[chunks=4]] [[usage cached=1 reasoning=2]] sum'
    frames = await answered(client, session, question)
    thoughts = [frame for frame in durable(frames) if frame["event"] == "agent.thinking"]
    for metadata, times in ((thoughts[0]["metadata"], 1), (frames[-1]["metadata"], 2)):
        assert metadata["usage"]["cached_tokens"] == 1 * times
        assert metadata["usage"]["reasoning_tokens"] == 2 * times


async def test_the_models_reasoning_is_kept(client: Recorder, session: str) -> None:
    frames = await answered(client, session, "[[reasoning First the 前提.]] why")
    thought = durable(frames)[1]
    assert (thought["event"], thought["content"]) == ("agent.thinking", "First the 前提.")


async def test_an_agent_stops_at_its_most_steps(client: Recorder, session: str) -> None:
    frames = await answered(client, session, '[[tool add {"a": 1, "b": 1} step=*]] again')
    assert frames[-1]["metadata"]["stop_reason"] == "max_steps"
    assert len(results(frames)) == 3
    assert frames[-1]["content"]


# Tools.


async def test_a_tool_is_wanted_then_called_then_has_a_result(
    client: Recorder, session: str
) -> None:
    frames = await answered(client, session, '[[tool add {"a": 20, "b": 22}]] add them')
    log = durable(frames)
    assert kinds(log) == [
        "user.message",
        "agent.thinking",
        "agent.tool_call",
        "agent.tool_result",
        "agent.thinking",
        "agent.final_answer",
    ]
    call, result = log[2:4]
    assert call["step_id"] == result["step_id"]
    assert call["metadata"] == {"tool": "add", "args": {"a": 20, "b": 22}, "status": "running"}
    assert result["content"] == "42"
    assert result["metadata"]["tool"] == "add"
    assert result["metadata"]["status"] == "success"
    assert result["metadata"]["duration_ms"] >= 0
    assert log[-1]["content"] == "Answer to: add them (results: 42)"


async def test_what_the_model_says_before_a_tool_is_shown(client: Recorder, session: str) -> None:
    frames = await answered(
        client, session, '[[say Let me see.]] [[tool add {"a": 1, "b": 2}]] and then'
    )
    pieces = [frame for frame in frames if frame["event"] == "agent.partial_answer"]
    said = [each["content"] for each in pieces if each["metadata"]["step"] == 1]
    assert "".join(said) == "Let me see."
    assert text_of(frames, frames[-1]["metadata"]["run_id"]) == frames[-1]["content"]


async def test_several_calls_of_one_step_each_have_their_result(
    client: Recorder, session: str
) -> None:
    words = ["一", "two", "three"]
    calls = " ".join(f'[[tool lookup {{"word": "{word}"}}]]' for word in words)
    frames = await answered(client, session, f"{calls} all")
    log = durable(frames)
    assert kinds(log).count("agent.thinking") == 2
    called = {
        frame["step_id"]: frame["metadata"]["args"]["word"]
        for frame in log
        if frame["event"] == "agent.tool_call"
    }
    assert sorted(called.values()) == sorted(words)
    told = {frame["step_id"]: frame["content"] for frame in results(frames)}
    assert told == {step: f"{word}: 找到了 🎯" for step, word in called.items()}


async def test_a_result_is_shown_when_it_is_there_though_an_earlier_tool_works_on(
    runner: Runner, client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    slow, quick = f'[[tool slow {{"gate": "{nonce}"}}]]', '[[tool add {"a": 1, "b": 2}]]'
    await client.say(session, f"{slow} {quick} {nonce}")
    result = await client.until("agent.tool_result")
    assert (result["metadata"]["tool"], result["content"]) == ("add", "3")
    async with await Recorder.open(runner.url) as other:
        await answered(other, await other.create_session(), f'[[tool let {{"gate": "{nonce}"}}]]')
    await client.until("agent.final_answer")
    assert [frame["content"] for frame in results(client.frames)] == ["3", "slow"]
    await answered(client, session, "and now?")
    requests = [each for each in await model.requests_about(nonce) if slow in each[1]["content"]]
    told = [[m["content"] for m in each if m["role"] == "tool"] for each in requests]
    assert told == [[], ["slow", "3"], ["slow", "3"]], "the model is told in the order of its calls"


async def test_a_tool_that_raises_is_a_tool_error_that_the_model_hears_of(
    client: Recorder, session: str
) -> None:
    frames = await answered(client, session, "[[tool broken]] try")
    (result,) = results(frames)
    assert result["metadata"]["status"] == "error"
    assert "the wheel came off" in result["content"]
    assert "Traceback" not in result["content"]
    assert "the wheel came off" in frames[-1]["content"]


async def test_a_tool_that_raises_costs_one_line_of_the_log(serve: Serve) -> None:
    runner = serve("tools.py")
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        frames = await answered(client, session, "[[tool broken]] try")
        run_id = frames[-1]["metadata"]["run_id"]
    runner.stop()
    (line,) = [line for line in runner.log if "the wheel came off" in line]
    told = json.loads(line)
    assert (told["event"], told["tool"]) == ("tool_raised", "broken")
    assert (told["session_id"], told["run_id"]) == (session, run_id)
    assert told["error"] == "ValueError: the wheel came off"


@pytest.mark.parametrize(
    "call", ["[[tool nothing_such]]", '[[tool add {"a": "x"}]]', "[[badcall add]]"]
)
async def test_a_call_that_can_not_be_made_is_a_tool_error(
    client: Recorder, session: str, call: str
) -> None:
    frames = await answered(client, session, f"{call} try")
    (result,) = results(frames)
    assert result["metadata"]["status"] == "error"
    assert result["content"]


async def test_a_result_that_can_not_be_shown_does_no_harm(client: Recorder, session: str) -> None:
    frames = await answered(client, session, "[[tool rubbish]] show")
    (result,) = results(frames)
    assert isinstance(result["content"], str)
    assert result["content"]


async def test_a_long_result_is_cut_and_says_how_long_it_was(
    client: Recorder, session: str
) -> None:
    size = 200_000
    frames = await answered(client, session, f'[[tool big {{"size": {size}}}]] much')
    (result,) = results(frames)
    assert result["metadata"]["truncated"] == size
    assert len(result["content"].encode()) <= 256 * 1024
    assert set(result["content"]) == {"龍"}


# The model's failures.


async def test_a_model_with_too_many_requests_is_asked_again(
    client: Recorder, session: str, nonce: str
) -> None:
    frames = await answered(client, session, f"[[status 429 retry_after=0.1 times=1]] {nonce}")
    assert frames[-1]["content"] == f"Answer to: {nonce}"


async def test_a_model_that_fails_for_good_is_a_model_error(client: Recorder, session: str) -> None:
    end = await client.ask(session, "[[status 500]] fail", message_id="m-1")
    assert end["event"] == "agent.error"
    assert end["metadata"]["code"] == "model_error"
    assert end["metadata"]["retryable"] is True
    assert end["metadata"]["message_id"] == "m-1"
    await answered(client, session, "and now")


async def test_a_key_that_is_refused_is_an_error_that_need_not_be_retried(
    client: Recorder, session: str
) -> None:
    end = await client.ask(session, "[[status 401 bad key sk-test]] fail")
    assert (end["metadata"]["code"], end["metadata"]["retryable"]) == ("model_error", False)
    assert "sk-test" not in end["content"]


@pytest.mark.parametrize("failure", ["drop", "error"])
async def test_an_answer_that_broke_off_is_complete_in_the_end(
    client: Recorder, session: str, nonce: str, failure: str
) -> None:
    frames = await answered(client, session, f"[[{failure} after=3 times=1]] {nonce} 完整")
    answer = frames[-1]
    assert answer["content"] == f"Answer to: {nonce} 完整"
    assert text_of(frames, answer["metadata"]["run_id"]) == answer["content"]
    assert kinds(durable(frames)) == ["user.message", "agent.thinking", "agent.final_answer"]


# While the agent is busy.


async def test_messages_to_a_busy_agent_wait_in_line(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await client.say(session, f"[[hold {nonce}]] first")
    await model.held(nonce)
    for text in ("second", "third"):
        await client.say(session, text)
    await client.until("user.message", where=lambda frame: frame["content"] == "third")
    await model.release(nonce)
    answers = [await client.until("agent.final_answer") for _ in range(3)]
    texts = [answer["content"].removeprefix("Answer to: ") for answer in answers]
    assert texts == ["first", "second", "third"]
    echoes = [frame for frame in client.frames if frame["event"] == "user.message"]
    assert [echo["metadata"]["position"] for echo in echoes] == [0, 1, 2]
    assert_gapless(client.frames)
    assert_one_end_each(client.frames)


async def test_a_busy_agent_can_be_asked_to_reject(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await client.say(session, f"[[hold {nonce}]] first")
    await model.held(nonce)
    await client.say(session, "second", on_busy="reject", message_id="m-2")
    error = await client.error("busy")
    assert error["metadata"]["message_id"] == "m-2"
    assert error["metadata"]["session_id"] == session
    assert error["metadata"]["retryable"] is True
    await model.release(nonce)
    await client.until("agent.final_answer")
    await answered(client, session, "second", on_busy="reject", message_id="m-2")
    assert_one_end_each(client.frames)


async def test_a_message_that_interrupts_goes_ahead_of_the_queue_which_stays(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await client.say(session, f"[[hold {nonce}]] first")
    await model.held(nonce)
    await client.say(session, "queued")
    await client.say(session, "urgent", on_busy="interrupt")
    ends = [
        await client.until("agent.interrupted", "agent.final_answer", "agent.error")
        for _ in range(3)
    ]
    assert [end["event"] for end in ends] == ["agent.interrupted", *["agent.final_answer"] * 2]
    assert [end["content"] for end in ends[1:]] == ["Answer to: urgent", "Answer to: queued"]
    assert_gapless(client.frames)
    assert_one_end_each(client.frames)


async def test_a_message_that_interrupts_nobody_is_just_a_message(
    client: Recorder, session: str
) -> None:
    frames = await answered(client, session, "calm", on_busy="interrupt")
    assert frames[0]["metadata"]["position"] == 0


# Sending a message again.


def duplicate(frame: Frame) -> bool:
    return bool(frame["metadata"].get("duplicate"))


async def test_a_message_sent_again_after_its_end_is_answered_with_its_echo(
    client: Recorder, session: str
) -> None:
    first = await answered(client, session, "once", message_id="m-1")
    await client.say(session, "something else even", message_id="m-1")
    again = await client.until("user.message")
    assert "seq" not in again
    assert again["metadata"] == first[0]["metadata"] | {
        "duplicate": True,
        "original_seq": first[0]["seq"],
    }
    assert again["content"] == "once"
    await client.fence(session)
    assert client.frames[-2] is again


@pytest.mark.parametrize("on_busy", ["enqueue", "reject", "interrupt"])
async def test_a_message_sent_again_while_it_runs_neither_runs_twice_nor_interrupts(
    client: Recorder, session: str, model: FakeModelControl, nonce: str, on_busy: str
) -> None:
    text = f"[[hold {nonce}]] once"
    await client.say(session, text, message_id="m-1")
    await model.held(nonce)
    await client.say(session, text, message_id="m-1", on_busy=on_busy)
    await client.until("user.message", where=duplicate)
    await model.release(nonce)
    await client.until("agent.final_answer")
    assert kinds(durable(client.frames)).count("user.message") == 1
    assert len(await model.requests_about(nonce)) == 1


async def test_a_message_sent_many_times_at_once_runs_once(
    runner: Runner, client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    async with await Recorder.open(runner.url) as other:
        await other.reconnect(session)
        for _ in range(5):
            await client.say(session, nonce, message_id="m-1", on_busy="interrupt")
            await other.say(session, nonce, message_id="m-1", on_busy="interrupt")
        await client.until("agent.final_answer")
        await client.fence(session)
        await other.fence(session)
        echoes = [frame for frame in client.frames + other.frames if duplicate(frame)]
        assert len(echoes) == 9
    assert kinds(await log_of(runner.url, session)) == [
        "agent.session_created",
        "user.message",
        "agent.thinking",
        "agent.final_answer",
    ]
    assert len(await model.requests_about(nonce)) == 1


async def test_only_the_socket_that_sent_it_again_hears_of_it(
    runner: Runner, client: Recorder, session: str
) -> None:
    await answered(client, session, "once", message_id="m-1")
    async with await Recorder.open(runner.url) as other:
        await other.reconnect(session)
        await other.say(session, "once", message_id="m-1", on_busy="interrupt")
        await other.until("user.message", where=duplicate)
    await client.fence(session)
    assert not any(map(duplicate, client.frames))


async def test_a_message_sent_again_while_it_waits_keeps_its_place(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await client.say(session, f"[[hold {nonce}]] first")
    await model.held(nonce)
    await client.say(session, "second", message_id="m-2")
    await client.say(session, "third", message_id="m-3")
    await client.say(session, "third", message_id="m-3", on_busy="interrupt")
    echo = await client.until("user.message", where=duplicate)
    assert echo["metadata"]["position"] == 2
    await model.release(nonce)
    contents = [(await client.until("agent.final_answer"))["content"] for _ in range(3)]
    assert contents == ["Answer to: first", "Answer to: second", "Answer to: third"]


# What the model remembers.


async def contents_remembered(client: Recorder, session: str) -> list[str | None]:
    end = await client.ask(session, "[[echo_history]]")
    remembered: list[str | None] = json.loads(end["content"])["contents"]
    return remembered


async def test_the_model_remembers_the_conversation(client: Recorder, session: str) -> None:
    await answered(client, session, "My name is 小明")
    await answered(client, session, '[[tool add {"a": 2, "b": 2}]] add')
    assert await contents_remembered(client, session) == [
        "You are being tested.",
        "My name is 小明",
        "Answer to: My name is 小明",
        '[[tool add {"a": 2, "b": 2}]] add',
        None,
        "4",
        "Answer to: add (results: 4)",
        "[[echo_history]]",
    ]


async def test_sessions_do_not_share_their_memory(client: Recorder, session: str) -> None:
    await answered(client, session, "a secret")
    other = await client.create_session()
    assert await contents_remembered(client, other) == [
        "You are being tested.",
        "[[echo_history]]",
    ]


async def test_a_message_in_line_is_not_known_to_the_model_before_its_turn(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    # The first run asks the model once more after the second message was accepted.
    await client.say(session, f'[[hold {nonce} step=1]] [[tool add {{"a": 1, "b": 1}}]] first')
    await model.held(nonce)
    await client.say(session, "second")
    await client.until("user.message", where=lambda frame: frame["content"] == "second")
    await model.release(nonce)
    for _ in range(2):
        await client.until("agent.final_answer")
    asked = await model.requests_about(nonce)
    assert len(asked) == 3
    assert [m["content"] for m in asked[1]][2:] == [None, "2"]
    assert [m["content"] for m in asked[2]][2:] == [
        None,
        "2",
        "Answer to: first (results: 2)",
        "second",
    ]


async def test_after_a_run_was_stopped_every_call_has_its_result(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    calls = '[[tool wait]] [[tool order {"item": "tea"}]] [[tool add {"a": 1, "b": 1}]]'
    await client.say(session, f"{calls} {nonce}")
    await client.until("agent.tool_call", where=lambda frame: frame["metadata"]["tool"] == "wait")
    await client.until("agent.user_confirm")
    await client.send("user.cancel", session)
    end = await client.until("agent.interrupted")
    assert "wait" in end["metadata"]["effects"]
    await answered(client, session, "go on")
    context = (await model.requests_about(nonce))[-1]
    wanted = [call["id"] for message in context for call in message.get("tool_calls") or ()]
    given = [message["tool_call_id"] for message in context if message["role"] == "tool"]
    assert len(wanted) == 3
    assert wanted == given
    assert_gapless(client.frames)
    assert_one_end_each(client.frames)
