"""The trace dialect over real sockets: start an agent under a label, and watch its trace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from tests.fake_model_control import FakeModelControl
from tests.recording import Recorder
from tests.runners import SERVERS_WHEN_LONG, Runner
from tests.trace_client import assert_each_once, watcher

from .conftest import Serve

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module", params=SERVERS_WHEN_LONG)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py", server=request.param) as runner:
        yield runner


def at(runner: Runner, label: str) -> str:
    return f"{runner.url}ws/{label}"


async def test_a_question_is_told_from_its_start_to_its_end(runner: Runner, nonce: str) -> None:
    async with watcher(at(runner, nonce)) as client:
        greeting = await client.receive()
        assert greeting["event_type"] == "connection_established"
        assert greeting["data"] == {"status": "connected", "session_id": nonce}
        question = f'What? [[tool add {{"a": 1, "b": 2}}]] {nonce}'
        end = await client.ask(question)
        assert client.types("connection_established") == [
            *("trace_started", "status_update", "think_completed"),
            *("status_update", "tool_completed"),
            *("status_update", "think_completed", "trace_completed"),
        ]
        assert_each_once(client.frames)
        for frame in client.frames:
            assert frame["session_id"] == nonce
            assert TIMESTAMP.fullmatch(frame["timestamp"]), frame
        (started,) = client.of("trace_started")
        trace_id = started["data"]["trace_id"]
        assert started["message_id"].startswith("trace_start_")
        assert started["data"]["request"] == question
        assert started["data"]["agent_name"] and started["data"]["max_steps"]
        first, last = client.of("think_completed")
        (tool,) = client.of("tool_completed")
        assert tool["data"]["parent_run_id"] == first["data"]["run_id"]
        assert (tool["data"]["name"], tool["data"]["run_type"]) == ("add", "tool")
        assert tool["data"]["inputs"] == {"args": {"a": 1, "b": 2}}
        assert tool["data"]["outputs"] == {"result": "3"}
        assert (tool["data"]["status"], tool["data"]["error"]) == ("success", None)
        assert last["data"]["inputs"]["messages"][-1]["content"] == "3"
        states = [frame["data"]["agent_state"] for frame in client.of("status_update")]
        assert states == ["thinking", "acting", "thinking"]
        assert end["data"] | {"duration_ms": 0, "total_tokens": 0} == {
            "trace_id": trace_id,
            "duration_ms": 0,
            "total_runs": 3,
            "total_tokens": 0,
            "total_cost": None,
            "status": "answered",
            "final_response": last["data"]["outputs"]["message"]["content"],
        }


async def test_a_failed_run_is_told_with_its_sentence(runner: Runner, nonce: str) -> None:
    async with watcher(at(runner, nonce)) as client:
        end = await client.ask(f"[[status 400]] {nonce}")
        (error,) = client.of("run_error")
        assert error["data"]["trace_id"] == end["data"]["trace_id"]
        assert error["data"]["error"] and error["data"]["error_type"] == "model_error"
        assert (end["data"]["status"], end["data"]["final_response"]) == ("failed", None)


async def test_the_same_label_continues_the_conversation(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    async with watcher(at(runner, nonce)) as client:
        await client.ask(f"first {nonce}")
    async with watcher(at(runner, nonce) + "/") as client:
        await client.ask(f"second {nonce}")
        assert [f["data"]["request"] for f in client.of("trace_started")] == [f"second {nonce}"]
    *_, last = await model.requests_about(f"second {nonce}")
    assert f"first {nonce}" in str(last)


async def test_a_run_survives_its_tab_and_is_told_from_its_start_to_the_next(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    hold = f"hold{nonce}"
    async with watcher(at(runner, nonce)) as client:
        await client.start(f'[[hold {hold}]] [[tool add {{"a": 1, "b": 2}}]]')
        await client.until("status_update")
        await model.held(hold)
        client.socket.transport.abort()
    async with watcher(at(runner, nonce)) as second:
        await second.until("status_update")
        await model.release(hold)
        await second.until("trace_completed")
    assert_each_once(second.frames)
    known = {frame["message_id"]: frame for frame in second.frames}
    for frame in client.frames[1:]:
        assert known[frame["message_id"]] == frame, "what is told again has its id, and is the same"


async def test_two_tabs_of_a_label_see_the_same_run(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    hold = f"hold{nonce}"
    async with watcher(at(runner, nonce)) as one, watcher(at(runner, nonce)) as other:
        questions = [f"[[hold {hold}]] {name} {nonce}" for name in "ab"]
        await asyncio.gather(one.start(questions[0]), other.start(questions[1]))
        # Before both are there, the first run must not end: ended ones are not told.
        for client in (one, other):
            await client.until("trace_started")
        await model.release(hold)
        for client in (one, other):
            for _ in range(2):
                await client.until("trace_completed")
            assert_each_once(client.frames)
        ids = [[f["data"]["trace_id"] for f in c.of("trace_completed")] for c in (one, other)]
        assert ids[0] == ids[1] and len(set(ids[0])) == 2


async def test_a_cancel_ends_the_trace(runner: Runner, model: FakeModelControl, nonce: str) -> None:
    hold = f"hold{nonce}"
    async with watcher(at(runner, nonce)) as client:
        await client.send(action="cancel")  # Nothing to cancel is no error.
        await client.start(f"[[hold {hold}]]")
        await model.held(hold)
        await client.send(action="cancel")
        end = await client.until("trace_completed")
        assert end["data"]["status"] == "interrupted"
        assert client.of("run_error") == []
        await model.release(hold)


async def test_a_question_that_waits_is_told_to(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    hold = f"hold{nonce}"
    async with watcher(at(runner, nonce)) as client:
        await client.start(f"[[hold {hold}]]")
        await model.held(hold)
        await client.start(f"next {nonce}")
        queued = await client.until(
            "status_update", lambda frame: bool(frame["data"]["agent_state"] == "queued")
        )
        assert queued["data"]["message"] == "Your question waits for its turn."
        await model.release(hold)
        await client.until("trace_completed")
        end = await client.until("trace_completed")
        assert end["data"]["status"] == "answered"
        assert_each_once(client.frames)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("nonsense", "The frame is not valid JSON."),
        ("[1]", "A frame must be text holding one JSON object."),
        ('{"action": "dance"}', "There is no client event named 'dance'."),
        ("{}", "The event is not valid: check 'action'."),
        ('{"action": "start_agent"}', "The event is not valid: check 'question'."),
        ('{"action": "start_agent", "question": "  "}', "The event is not valid: check 'question'"),
    ],
)
async def test_a_frame_of_no_use_is_answered_and_the_socket_stays(
    runner: Runner, nonce: str, said: str, sentence: str
) -> None:
    async with watcher(at(runner, nonce)) as client:
        await client.socket.send(said)
        error = await client.until("run_error")
        assert error["data"]["error"].startswith(sentence)
        assert error["session_id"] == nonce
        assert (await client.ask(f"still there? {nonce}"))["data"]["status"] == "answered"


async def test_too_many_such_frames_close_the_socket(runner: Runner, nonce: str) -> None:
    async with watcher(at(runner, nonce)) as client:
        for _ in range(3):
            await client.socket.send("nonsense")
        assert await client.read_to_close() == 4400
        assert client.frames[-1]["event_type"] == "run_error"


@pytest.mark.parametrize("path", ["ws/chat", "ws/a/b", f"ws/{'x' * 200}"])
async def test_what_is_no_label_is_no_door(runner: Runner, path: str) -> None:
    async with watcher(f"{runner.url}{path}") as client:
        assert await client.read_to_close() in (4004, 4400)


async def test_ws_alone_is_the_events_dialect(runner: Runner) -> None:
    for path in ("ws", "ws/"):
        async with await Recorder.open(f"{runner.url}{path}") as client:
            assert await client.create_session()


async def test_an_agent_without_traces_is_told_from_its_start_to_its_end(serve: Serve) -> None:
    with serve("parrot.py", env={"MYAGENT_TRACING": "off"}) as runner:
        async with watcher(at(runner, "ann")) as client:
            end = await client.ask("10 hello")
            assert client.types("connection_established") == ["trace_started", "trace_completed"]
            assert (end["data"]["status"], end["data"]["final_response"]) == (
                "answered",
                "hellohello",
            )
