"""Sessions and sockets: many of each, leaving and coming back, confirming, cancelling, closing."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator

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
from .plain_http import health
from .served import Served

ORDER = '[[tool order {"item": "tea", "amount": 2}]]'


@pytest.fixture(scope="module", params=SERVERS)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py", server=request.param) as runner:
        yield runner


async def hold(client: Recorder, session: str, model: FakeModelControl, nonce: str) -> Frame:
    """Starts a run that waits in the middle of its answer; the echo."""
    await client.say(session, f"[[hold {nonce} after=4]] held 抱住 {nonce}", message_id=nonce)
    echo = await client.until("user.message")
    await model.held(nonce)
    return echo


async def asked(client: Recorder, session: str, text: str = "please") -> Frame:
    """Starts a run that asks for a confirmation; the question."""
    await client.say(session, f"{ORDER} {text}")
    return await client.until("agent.user_confirm")


async def respond(client: Recorder, question: Frame, **content: object) -> None:
    await client.send(
        "user.response", question["session_id"], step_id=question["step_id"], content=content
    )


def is_duplicate(frame: Frame) -> bool:
    return bool(frame["metadata"].get("duplicate"))


# Many at once.


async def test_twenty_sessions_talk_at_once_on_one_socket(client: Recorder) -> None:
    sessions = [await client.create_session() for _ in range(20)]
    for session in sessions:
        await client.say(session, f"I am {session}")
    for _ in sessions:
        await client.until("agent.final_answer")
    for session in sessions:
        mine = [frame for frame in client.frames if frame.get("session_id") == session]
        assert_gapless(mine)
        assert_one_end_each(mine)
        assert mine[-1]["content"] == f"Answer to: I am {session}"
        assert text_of(mine, mine[-1]["metadata"]["run_id"]) == mine[-1]["content"]


@pytest.mark.both_databases
async def test_twenty_sessions_talk_at_once_on_twenty_sockets(runner: Runner) -> None:
    async def talk() -> None:
        async with await Recorder.open(runner.url) as client:
            session = await client.create_session()
            for turn in range(3):
                end = await client.ask(session, f"{session} {turn}")
                assert end["content"] == f"Answer to: {session} {turn}"
            assert {frame.get("session_id", session) for frame in client.frames} == {session}
            assert_gapless(client.frames)
            assert_one_end_each(client.frames)

    async with asyncio.TaskGroup() as talks:
        for _ in range(20):
            talks.create_task(talk())


async def test_two_sockets_on_one_session_see_the_same_log(
    client: Recorder, session: str, other: Recorder
) -> None:
    await other.reconnect(session)
    await client.say(session, "from one")
    await other.say(session, "from the other")
    for each in (client, other):
        for _ in range(2):
            await each.until("agent.final_answer")
    assert durable(client.frames) == durable(other.frames)
    assert_gapless(other.frames)
    assert_one_end_each(other.frames)


async def test_both_sockets_on_one_session_see_the_answer_grow(
    runner: Runner, client: Recorder, session: str, other: Recorder
) -> None:
    if isinstance(runner, Served) and runner.has_several_servers:
        pytest.skip("another server's clients may see less of the text before it is complete")
    await other.reconnect(session)
    await client.say(session, "from one")
    for each in (client, other):
        answer = await each.until("agent.final_answer")
        assert text_of(each.frames, answer["metadata"]["run_id"]) == answer["content"]


# Confirmations.


@pytest.mark.both_databases
async def test_a_tool_that_needs_a_yes_is_asked_about_before_it_is_called(
    client: Recorder, session: str
) -> None:
    question = await asked(client, session)
    assert question["metadata"]["tool"] == "order"
    assert question["metadata"]["args"] == {"item": "tea", "amount": 2}
    assert question["metadata"]["timeout_s"] == 300
    assert question["metadata"]["description"] == "Orders something, when somebody agrees"
    assert question["metadata"]["parameters"]["properties"]["amount"] == {
        "default": 1,
        "type": "integer",
    }
    assert "order" in question["content"]
    await respond(client, question, approved=True)
    await client.until("agent.final_answer")
    steps = [frame for frame in durable(client.frames) if "step_id" in frame]
    assert kinds(steps) == [
        "agent.user_confirm",
        "user.response",
        "agent.tool_call",
        "agent.tool_result",
    ]
    assert {frame["step_id"] for frame in steps} == {question["step_id"]}
    assert steps[1]["content"] == {"approved": True}
    assert steps[3]["content"] == "ordered 2 × tea"


async def test_a_question_on_one_socket_can_be_answered_on_another(
    client: Recorder, session: str, other: Recorder
) -> None:
    question = await asked(client, session)
    frames = await other.reconnect(session)
    assert frames[0]["metadata"]["status"] == "waiting"
    assert question in frames
    await respond(other, question, approved=True)
    for each in (client, other):
        assert (await each.until("agent.tool_result"))["metadata"]["status"] == "success"
        await each.until("agent.final_answer")
    assert durable(client.frames) == durable(other.frames)


async def test_a_second_response_gets_the_first_one_back_and_nobody_else_hears_of_it(
    client: Recorder, session: str, other: Recorder
) -> None:
    question = await asked(client, session)
    await other.reconnect(session)
    await respond(client, question, approved=True)
    logged = await client.until("user.response")
    await other.until("user.response")
    await respond(other, question, approved=False)
    again = await other.until("user.response")
    assert again["content"] == {"approved": True}
    assert "seq" not in again
    assert again["metadata"]["original_seq"] == logged["seq"]
    await client.until("agent.final_answer")
    await respond(other, question, approved=False)
    assert is_duplicate(await other.until("user.response"))
    await client.fence(session)
    assert kinds(client.frames).count("user.response") == 1


async def test_a_response_to_no_question_is_told_so(client: Recorder, session: str) -> None:
    await respond(client, {"session_id": session, "step_id": "call_nothing"}, approved=True)
    error = await client.error("not_waiting")
    assert error["metadata"]["session_id"] == session


async def test_a_declined_tool_is_never_called(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    question = await asked(client, session, nonce)
    await respond(client, question, approved=False, feedback="太贵了")
    await client.until("agent.final_answer")
    assert "agent.tool_call" not in kinds(client.frames)
    (result,) = [frame for frame in client.frames if frame["event"] == "agent.tool_result"]
    assert result["metadata"]["status"] == "declined"
    told = (await model.requests_about(nonce))[-1]
    assert "太贵了" in told[-1]["content"], "the model knows why"


async def test_a_person_may_change_what_a_tool_is_called_with(
    client: Recorder, session: str
) -> None:
    question = await asked(client, session)
    args = {"item": "茶", "amount": 1}
    await respond(client, question, approved=True, args=args)
    call = await client.until("agent.tool_call")
    assert call["metadata"]["args"] == args
    assert (await client.until("agent.tool_result"))["content"] == "ordered 1 × 茶"


@pytest.mark.both_databases
async def test_changed_arguments_that_do_not_fit_are_refused_and_the_question_still_waits(
    client: Recorder, session: str, other: Recorder
) -> None:
    question = await asked(client, session)
    await other.reconnect(session)
    for args, reason in ({"item": "tea", "amount": "many"}, "many"), ({}, "item"):
        await respond(client, question, approved=True, args=args)
        error = await client.error("invalid_event")
        assert reason in error["content"]
        assert error["metadata"]["step_id"] == question["step_id"]
        assert error["metadata"]["session_id"] == session
    await respond(other, question, approved=True, args={"item": "tea", "amount": 5})
    assert (await client.until("agent.tool_result"))["content"] == "ordered 5 × tea"
    await client.until("agent.final_answer")
    await other.fence(session)
    assert kinds(client.frames).count("user.response") == 1
    assert "system.error" not in kinds(other.frames)


async def test_a_no_needs_no_arguments_that_fit(client: Recorder, session: str) -> None:
    question = await asked(client, session)
    await respond(client, question, approved=False, args={"amount": "many"})
    assert (await client.until("agent.tool_result"))["metadata"]["status"] == "declined"


async def test_a_question_can_be_cancelled(client: Recorder, session: str) -> None:
    question = await asked(client, session)
    await client.send("user.cancel", session)
    end = await client.until("agent.interrupted")
    assert end["metadata"]["effects"] == []
    await respond(client, question, approved=True)
    await client.error("not_waiting")
    result = next(frame for frame in client.frames if frame["event"] == "agent.tool_result")
    assert result["metadata"]["status"] == "cancelled"
    assert (await client.ask(session, "go on"))["event"] == "agent.final_answer"


async def test_a_question_that_nobody_answers_is_declined(serve: Serve) -> None:
    runner = serve("tools.py", env={"MYAGENT_CONFIRM_TIMEOUT_S": "0.3"})
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        question = await asked(client, session)
        await respond(client, question, approved=True, args={"item": 1})
        await client.error("invalid_event")
        assert question["metadata"]["timeout_s"] == 0.3
        result = await client.until("agent.tool_result")
        assert result["metadata"]["status"] == "declined"
        await client.until("agent.final_answer")
        assert "agent.tool_call" not in kinds(client.frames)
        await respond(client, question, approved=True)
        await client.error("not_waiting")


async def test_waiting_for_a_person_does_not_count_towards_the_time_out(serve: Serve) -> None:
    env = {"MYAGENT_RUN_TIMEOUT_S": "2", "MYAGENT_CONFIRM_TIMEOUT_S": "2.5"}
    runner = serve("tools.py", env=env)
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await asked(client, session)
        assert (await client.until("agent.tool_result"))["metadata"]["status"] == "declined"
        await client.until("agent.final_answer")
        end = await client.ask(session, "[[tool wait]] for ever")
        assert end["event"] == "agent.timeout"
        assert end["metadata"]["timeout_s"] == 2


# Leaving and coming back.


@pytest.mark.both_databases
async def test_a_socket_that_broke_in_the_middle_of_an_answer_misses_nothing(
    runner: Runner, client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    echo = await hold(client, session, model, nonce)
    await client.until("agent.partial_answer")
    seen = durable(client.frames)
    client.drop()
    async with await Recorder.open(runner.url) as back:
        frames = await back.reconnect(session, seen[-1]["seq"])
        assert frames[0]["event"] == "agent.session_resumed"
        assert frames[0]["metadata"] == {
            "last_seq": 2,
            "status": "running",
            "replaying": 0,
            "model": "fake",
        }
        so_far = await back.until("agent.partial_answer")
        assert so_far["metadata"]["offset"] == 0
        await model.release(nonce)
        answer = await back.end_of(echo["metadata"]["run_id"])
        assert answer["content"].startswith(so_far["content"])
        assert text_of(back.frames, echo["metadata"]["run_id"]) == answer["content"]
        assert_gapless(seen + durable(back.frames))


@pytest.mark.both_databases
async def test_reconnecting_from_anywhere_gives_exactly_the_rest(
    client: Recorder, session: str, other: Recorder
) -> None:
    await client.ask(session, '[[tool add {"a": 1, "b": 1}]] [[tool broken]] 一')
    await client.ask(session, "two")
    log = durable(client.frames)
    for last_seq in range(len(log) + 1):
        resumed, *replayed, complete = await other.reconnect(session, last_seq)
        rest = log[last_seq:]
        assert replayed == rest
        assert resumed["event"] == "agent.session_resumed"
        assert resumed["metadata"] == {
            "last_seq": len(log),
            "status": "idle",
            "replaying": len(rest),
            "model": "fake",
        }
        assert complete["metadata"] == {"last_seq": len(log)}


async def test_reconnecting_from_beyond_the_end_starts_anew(
    client: Recorder, session: str, other: Recorder
) -> None:
    await client.ask(session, "hello")
    log = durable(client.frames)
    resumed, *replayed, _ = await other.reconnect(session, 1_000)
    assert resumed["metadata"]["resync"] is True
    assert replayed == log


async def test_reconnecting_on_the_same_socket_delivers_nothing_live_twice(
    client: Recorder, session: str
) -> None:
    await client.reconnect(session)
    await client.reconnect(session, 1)
    start = len(client.frames)
    await client.ask(session, "hello")
    assert_gapless(client.frames[start:], first=2)


async def test_a_socket_that_detached_hears_no_more_and_the_run_goes_on(
    runner: Runner, client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    echo = await hold(client, session, model, nonce)
    await client.send("user.detach", session)
    second = await client.create_session()
    start = len(client.frames)
    await model.release(nonce)
    async with await Recorder.open(runner.url) as other:
        await other.reconnect(session)
        if "agent.final_answer" not in kinds(other.frames):
            await other.end_of(echo["metadata"]["run_id"])
    await client.fence(second)
    assert all(frame.get("session_id") != session for frame in client.frames[start:])


async def test_a_message_attaches_its_socket_at_the_end_of_the_log(
    client: Recorder, session: str, other: Recorder
) -> None:
    await client.ask(session, "before")
    end = len(durable(client.frames))
    await other.ask(session, "from outside")
    assert_gapless(other.frames, first=end + 1)
    await client.ask(session, "after")
    await other.until("agent.final_answer")
    assert_gapless(other.frames, first=end + 1)


async def test_leaving_is_not_cancelling(
    runner: Runner, client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await hold(client, session, model, nonce)
    await client.say(session, "and then")
    await client.until("user.message")
    await client.socket.close()
    await model.release(nonce)
    async with await Recorder.open(runner.url) as back:
        await back.reconnect(session)
        while kinds(back.frames).count("agent.final_answer") < 2:
            await back.receive()
        assert_gapless(back.frames)
        assert_one_end_each(back.frames)


async def test_a_message_whose_echo_was_lost_can_be_sent_again(
    runner: Runner, client: Recorder, session: str, nonce: str
) -> None:
    await client.say(session, nonce, message_id=nonce)
    client.drop()
    async with await Recorder.open(runner.url) as back:
        await back.reconnect(session)
        await back.say(session, nonce, message_id=nonce)
        if "agent.final_answer" not in kinds(back.frames):
            await back.until("agent.final_answer")
        await back.fence(session)
    log = await log_of(runner.url, session)
    assert kinds(log).count("user.message") == 1
    assert_one_end_each(log)


@pytest.mark.both_databases
async def test_thirty_turns_survive_sockets_that_break_at_any_moment(
    runner: Runner, client: Recorder, session: str
) -> None:
    chance = random.Random(31)
    seen: list[Frame] = durable(client.frames)
    client.drop()
    told: set[str] = set()

    async def follow(turn: int) -> bool:
        """Reads a while, then breaks off; whether the turn's end was seen."""
        async with await Recorder.open(runner.url) as socket:
            await socket.send("user.reconnect", session, metadata={"last_seq": seen[-1]["seq"]})
            await socket.say(session, f"turn {turn} 轮", message_id=f"m-{turn}")
            for _ in range(chance.randrange(1, 15)):
                frame = await socket.receive()
                seen.extend(durable([frame]))
                if frame["event"] == "agent.final_answer":
                    told.add(frame["metadata"]["message_id"])
                if f"m-{turn}" in told:
                    break
            socket.drop()
        return f"m-{turn}" in told

    for turn in range(30):
        while not await follow(turn):
            pass
    assert_gapless(seen)
    assert_one_end_each(seen)
    assert len([frame for frame in seen if frame["event"] == "agent.final_answer"]) == 30
    assert seen == await log_of(runner.url, session)


# Cancelling.


async def test_a_cancel_stops_the_current_run_and_the_next_one_starts(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    echo = await hold(client, session, model, nonce)
    await client.until("agent.partial_answer")
    await client.say(session, "next")
    await client.until("user.message")
    await client.send("user.cancel", session)
    end = await client.until("agent.interrupted")
    assert "Answer to: held ".startswith(end["metadata"].pop("text"))
    assert end["metadata"] == {
        "run_id": echo["metadata"]["run_id"],
        "message_id": nonce,
        "effects": [],
    }
    await client.until("agent.final_answer")
    log = durable(client.frames)
    assert_gapless(log)
    assert_one_end_each(log)
    cancel = next(frame for frame in log if frame["event"] == "user.cancel")
    assert cancel["content"] is None


@pytest.mark.parametrize("name", ["run_id", "message_id"])
async def test_a_cancel_can_name_the_current_run(
    client: Recorder, session: str, model: FakeModelControl, nonce: str, name: str
) -> None:
    echo = await hold(client, session, model, nonce)
    await client.send("user.cancel", session, metadata={name: echo["metadata"][name]})
    await client.until("agent.interrupted")


@pytest.mark.parametrize("name", ["run_id", "message_id"])
async def test_a_cancelled_message_in_line_leaves_it(
    client: Recorder, session: str, model: FakeModelControl, nonce: str, name: str
) -> None:
    await hold(client, session, model, nonce)
    for text in ("second", "third"):
        await client.say(session, text, message_id=text)
    echo = await client.until(
        "user.message", where=lambda frame: frame["metadata"]["message_id"] == "second"
    )
    await client.until("user.message")
    await client.send("user.cancel", session, metadata={name: echo["metadata"][name]})
    end = await client.until("agent.interrupted")
    assert end["metadata"]["message_id"] == "second"
    await model.release(nonce)
    answered = [await client.until("agent.final_answer") for _ in range(2)]
    assert [each["metadata"]["message_id"] for each in answered] == [nonce, "third"]
    assert_one_end_each(client.frames)


async def test_everything_can_be_cancelled(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await hold(client, session, model, nonce)
    for text in ("second", "third"):
        await client.say(session, text)
        await client.until("user.message")
    await client.send("user.cancel", session, metadata={"all": True})
    for _ in range(3):
        await client.until("agent.interrupted")
    assert_gapless(client.frames)
    assert_one_end_each(client.frames)
    assert (await client.ask(session, "hello"))["event"] == "agent.final_answer"


async def test_a_run_that_has_ended_is_left_alone(client: Recorder, session: str) -> None:
    end = await client.ask(session, "quick")
    run = end["metadata"]["run_id"]
    for metadata in ({"run_id": run}, {"message_id": end["metadata"]["message_id"]}, {}):
        await client.send("user.cancel", session, metadata=metadata)
        notice = await client.until("system.notice")
        assert notice["metadata"]["code"] == "not_running"
    await client.ask(session, "next")
    assert_gapless(client.frames)
    assert "user.cancel" not in kinds(client.frames)


async def test_a_cancel_that_names_another_run_does_not_stop_the_current_one(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    ended = await client.ask(session, "quick")
    await hold(client, session, model, nonce)
    await client.send("user.cancel", session, metadata={"run_id": ended["metadata"]["run_id"]})
    assert (await client.until("system.notice"))["metadata"]["code"] == "not_running"
    await model.release(nonce)
    await client.until("agent.final_answer")


@pytest.mark.both_databases
async def test_a_cancelled_tool_is_named_when_its_effect_is_not_known(
    client: Recorder, session: str
) -> None:
    await client.say(session, "[[tool wait]] work")
    call = await client.until("agent.tool_call")
    await client.send("user.cancel", session)
    result = await client.until("agent.tool_result")
    assert result["step_id"] == call["step_id"]
    assert result["metadata"]["status"] in ("cancelled", "unknown")
    assert result["metadata"]["duration_ms"] > 0
    end = await client.until("agent.interrupted")
    assert end["metadata"]["effects"] == ["wait"]


async def test_what_the_model_said_before_it_was_stopped_is_remembered(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await hold(client, session, model, nonce)
    said = await client.until("agent.partial_answer")
    await client.send("user.cancel", session)
    await client.until("agent.interrupted")
    end = await client.ask(session, "[[echo_history]]")
    remembered = json.loads(end["content"])["contents"]
    assert remembered[2].startswith(said["content"])


# Closing.


@pytest.mark.both_databases
async def test_closing_ends_every_run_and_then_the_session(
    runner: Runner, client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await hold(client, session, model, nonce)
    await client.say(session, "second")
    await client.until("user.message")
    await client.send("user.close_session", session)
    end = await client.until("agent.session_end")
    assert end["metadata"] == {"reason": "closed"}
    log = durable(client.frames)
    assert kinds(log)[-3:] == ["agent.interrupted", "agent.interrupted", "agent.session_end"]
    assert_gapless(log)
    assert_one_end_each(log)
    await client.say(session, "anybody there?", message_id="late")
    error = await client.error("session_closed")
    assert error["metadata"]["message_id"] == "late"
    assert await log_of(runner.url, session) == log


async def test_a_session_is_closed_once(client: Recorder, session: str) -> None:
    await client.send("user.close_session", session)
    await client.until("agent.session_end")
    await client.send("user.close_session", session)
    await client.error("session_closed")
    await client.fence(session)
    assert kinds(client.frames).count("agent.session_end") == 1


async def test_a_message_accepted_before_the_end_is_still_known_after_it(
    client: Recorder, session: str
) -> None:
    await client.ask(session, "hello", message_id="m-1")
    await client.send("user.close_session", session)
    await client.until("agent.session_end")
    await client.say(session, "hello", message_id="m-1")
    assert is_duplicate(await client.until("user.message"))


# Across processes.


@pytest.mark.both_databases
async def test_a_session_goes_on_in_the_next_process(serve: Serve) -> None:
    first = serve("tools.py")
    async with await Recorder.open(first.url) as client:
        session = await client.create_session()
        await client.ask(session, "My name is 小明", message_id="m-1")
        closed = await client.create_session()
        await client.send("user.close_session", closed)
        await client.until("agent.session_end")
        log = durable(client.frames, session)
    assert first.stop() == 0
    second = serve("tools.py")
    async with await Recorder.open(second.url) as client:
        assert durable(await client.reconnect(session)) == log
        await client.say(session, "My name is 小明", message_id="m-1", on_busy="interrupt")
        assert is_duplicate(await client.until("user.message"))
        end = await client.ask(session, "[[echo_history]]")
        assert json.loads(end["content"])["contents"][1] == "My name is 小明"
        assert_gapless(durable(client.frames, session))
        assert kinds(durable(await client.reconnect(closed))) == [
            "agent.session_created",
            "agent.session_end",
        ]
        await client.say(closed, "hello?")
        await client.error("session_closed")


async def test_an_idle_session_leaves_memory_and_comes_back_when_it_is_asked_for(
    serve: Serve,
) -> None:
    runner = serve("tools.py", env={"MYAGENT_SESSION_TIMEOUT_S": "0.2"})
    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await client.ask(session, "hello", message_id="m-1")
        await client.send("user.detach", session)
        while (await health(runner))["active_sessions"]:
            await client.send("user.detach", session)
        await client.say(session, "hello", message_id="m-1", on_busy="interrupt")
        assert is_duplicate(await client.until("user.message"))
        end = await client.ask(session, "[[echo_history]]")
        assert json.loads(end["content"])["contents"][1] == "hello"
        assert_gapless(client.frames)
