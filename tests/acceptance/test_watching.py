"""All traces of a site, watched over real sockets while they happen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.fake_model_control import FakeModelControl
from tests.recording import Recorder
from tests.runners import SERVERS_WHEN_LONG, Runner
from tests.trace_client import Frame, Watcher, assert_each_once, assert_in_order, watcher

from .conftest import Serve


@pytest.fixture(scope="module", params=SERVERS_WHEN_LONG)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py", server=request.param) as runner:
        yield runner


def all_traces(runner: Runner, query: str = "") -> str:
    return f"{runner.url}ws/traces/{query}"


def told_of(frames: list[Frame], trace_id: str) -> list[Frame]:
    """Without those about the socket itself."""
    return [frame for frame in frames if frame["data"].get("trace_id") == trace_id]


async def until_end_of(viewer: Watcher, trace_id: str) -> Frame:
    return await viewer.until(
        "trace_completed", lambda frame: frame["data"]["trace_id"] == trace_id
    )


async def ask(runner: Runner, label: str, question: str) -> str:
    """Returns the trace's id."""
    async with watcher(f"{runner.url}ws/{label}") as client:
        end = await client.ask(question)
        return str(end["data"]["trace_id"])


async def test_a_bystander_sees_a_run_from_its_start_to_its_end(runner: Runner, nonce: str) -> None:
    async with watcher(all_traces(runner)) as viewer:
        greeting = await viewer.receive()
        assert greeting["event_type"] == "connection_established"
        assert greeting["session_id"] is None
        question = f'What? [[tool add {{"a": 1, "b": 2}}]] {nonce}'
        trace_id = await ask(runner, nonce, question)
        end = await until_end_of(viewer, trace_id)
    told = told_of(viewer.frames, trace_id)
    assert_each_once(told)
    assert [frame["event_type"] for frame in told] == [
        "trace_started",
        *("status_update", "span_started", "think_completed"),
        *("status_update", "span_started", "tool_completed"),
        *("status_update", "span_started", "think_completed"),
        "trace_completed",
    ]
    assert told[0]["data"]["request"] == question
    assert told[6]["data"]["outputs"] == {"result": "3"}
    assert end["data"]["final_response"]
    assert all(frame["cursor"].isdigit() for frame in viewer.frames)
    assert len({frame["session_id"] for frame in told}) == 1


async def test_what_is_said_of_an_answer_is_seen_once(runner: Runner, nonce: str) -> None:
    async with (
        watcher(all_traces(runner)) as viewer,
        await Recorder.open(runner.url) as client,
    ):
        await viewer.receive()
        session = await client.create_session()
        end = await client.ask(session, f"hello {nonce}", message_id="m")
        trace_id = end["metadata"]["run_id"]
        await until_end_of(viewer, trace_id)
        for score, comment in ((-1, "too long"), (-1, "too long"), (1, None), (None, None)):
            metadata = {"message_id": "m", "score": score}
            await client.send("user.feedback", session, content=comment, metadata=metadata)
            echo = await client.until("user.feedback")
            if "seq" not in echo:
                continue
            told = await viewer.until("feedback")
            assert told["data"] == {
                "trace_id": trace_id,
                "principal": "",
                "score": score,
                "comment": comment or "",
            }
        assert_each_once(told_of(viewer.frames, trace_id))


async def test_a_running_step_is_seen_before_it_ends(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    hold = f"hold{nonce}"
    async with (
        watcher(all_traces(runner)) as viewer,
        watcher(f"{runner.url}ws/{nonce}") as client,
    ):
        await client.start(f"[[hold {hold}]] {nonce}")
        started = await viewer.until("trace_started", lambda f: nonce in f["data"]["request"])
        trace_id = started["data"]["trace_id"]
        begun = await viewer.until("span_started", lambda f: f["data"]["trace_id"] == trace_id)
        assert begun["data"]["status"] == "running"
        await model.held(hold)
        async with watcher(all_traces(runner)) as later:
            found = await later.until("span_started", lambda f: f["data"]["trace_id"] == trace_id)
            assert found["message_id"] == begun["message_id"], "a new viewer sees what is running"
            await model.release(hold)
            for each in (viewer, later):
                await until_end_of(each, trace_id)
                assert_each_once(each.frames)


async def test_a_viewer_that_comes_back_by_its_cursor_misses_nothing(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    hold = f"hold{nonce}"
    async with watcher(f"{runner.url}ws/{nonce}") as client:
        async with watcher(all_traces(runner)) as viewer:
            await client.start(f'[[hold {hold}]] [[tool add {{"a": 1, "b": 2}}]] {nonce}')
            begun = await viewer.until("span_started", lambda f: f["data"]["name"] != "add")
            trace_id = begun["data"]["trace_id"]
            await model.held(hold)
            viewer.socket.transport.abort()
        cursor = viewer.frames[-1]["cursor"]
        await model.release(hold)
        await client.until("trace_completed")
    others = [await ask(runner, f"{nonce}-{n}", f"again {n} {nonce}") for n in range(3)]
    async with watcher(all_traces(runner, f"?since={cursor}")) as second:
        for each in (trace_id, *others):
            if not any(f["event_type"] == "trace_completed" for f in told_of(second.frames, each)):
                await until_end_of(second, each)
    both = viewer.frames + second.frames
    assert_in_order(told_of(both, trace_id))
    seen = {frame["message_id"] for frame in told_of(both, trace_id)}
    async with watcher(all_traces(runner, f"?trace_id={trace_id}")) as named:
        await until_end_of(named, trace_id)
    assert {frame["message_id"] for frame in told_of(named.frames, trace_id)} == seen
    assert_each_once(second.frames)


async def test_filters_leave_out_the_rest(runner: Runner, nonce: str) -> None:
    async with (
        watcher(all_traces(runner)) as everything,
        watcher(all_traces(runner, "?status=failed")) as failures,
        watcher(f"{runner.url}services/tools/ws/traces/") as of_service,
    ):
        for viewer in (everything, failures, of_service):
            await viewer.receive()
        answered = await ask(runner, f"{nonce}-a", f"fine {nonce}")
        failed = await ask(runner, f"{nonce}-b", f"[[status 400]] {nonce}")
        for viewer in (everything, failures, of_service):
            await until_end_of(viewer, failed)
        assert told_of(everything.frames, answered) and told_of(of_service.frames, answered)
        assert not told_of(failures.frames, answered)
        assert told_of(failures.frames, failed)[0]["event_type"] == "trace_started"
        async with watcher(all_traces(runner, f"?trace_id={answered}")) as named:
            await until_end_of(named, answered)
            assert not told_of(named.frames, failed)


async def test_who_watches_what_runs_sees_how_it_ends(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    hold = f"hold{nonce}"
    async with (
        watcher(all_traces(runner, "?status=running")) as viewer,
        watcher(f"{runner.url}ws/{nonce}") as client,
    ):
        await client.start(f"[[hold {hold}]] {nonce}")
        started = await viewer.until("trace_started", lambda f: nonce in f["data"]["request"])
        await model.held(hold)
        await model.release(hold)
        end = await until_end_of(viewer, started["data"]["trace_id"])
        assert end["data"]["status"] == "answered"


@pytest.mark.parametrize(
    ("query", "name"),
    [("?since=soon", "since"), ("?since=-1", "since"), ("?since=" + "9" * 40, "since"),
     ("?status=odd", "status"), ("?" + "trace_id=x&" * 101, None)],
)  # fmt: skip
async def test_a_parameter_without_meaning_is_refused_in_a_sentence(
    runner: Runner, query: str, name: str | None
) -> None:
    async with watcher(all_traces(runner, query)) as viewer:
        if name is None:
            # The same id named often is one.
            assert (await viewer.receive())["event_type"] == "connection_established"
            return
        assert await viewer.read_to_close() == 4400
    (problem,) = viewer.frames
    assert problem["event_type"] == "run_error"
    assert name in problem["data"]["error"]


async def test_a_service_that_does_not_exist_is_refused(runner: Runner) -> None:
    async with watcher(all_traces(runner, "?service=nobody")) as viewer:
        assert await viewer.read_to_close() == 4004


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Via"])
async def test_an_open_site_shows_nothing_to_who_comes_from_elsewhere_unknown(
    runner: Runner, header: str
) -> None:
    """A client on another machine has to prove who it is, as over REST."""
    options = {"additional_headers": {header: "203.0.113.7"}}
    async with watcher(all_traces(runner), **options) as viewer:
        assert await viewer.read_to_close() == 4001
    assert [frame["event_type"] for frame in viewer.frames] == ["run_error"]


async def test_what_a_viewer_says_is_answered_and_the_socket_stays(
    runner: Runner, nonce: str
) -> None:
    async with watcher(all_traces(runner)) as viewer:
        await viewer.receive()
        for said, code in (("{", "invalid_json"), ('{"action": "x"}', "unknown_event"),
                           ("{}", "invalid_event")):  # fmt: skip
            await viewer.socket.send(said)
            error = await viewer.until("run_error")
            assert error["data"]["error_type"] == code and error["data"]["error"]
        trace_id = await ask(runner, nonce, f"still {nonce}")
        await until_end_of(viewer, trace_id)


async def test_a_cursor_of_the_future_is_now(runner: Runner, nonce: str) -> None:
    async with watcher(all_traces(runner, f"?since={2**63 - 1}")) as viewer:
        greeting = await viewer.receive()
        assert int(greeting["cursor"]) < 2**62
        await until_end_of(viewer, await ask(runner, nonce, f"now {nonce}"))


async def test_many_viewers_come_and_go_and_each_sees_every_run_once(
    runner: Runner, nonce: str
) -> None:
    async with watcher(all_traces(runner)) as steady:
        await steady.receive()

        async def look(turn: int) -> None:
            async with watcher(all_traces(runner)) as viewer:
                await viewer.receive()
                trace_id = await ask(runner, f"{nonce}-{turn}", f"turn {turn} {nonce}")
                await until_end_of(viewer, trace_id)
                assert_each_once(viewer.frames)

        await asyncio.gather(*(look(turn) for turn in range(12)))
        ends = {f"turn {turn} {nonce}" for turn in range(12)}
        while not ends <= {f["data"]["request"] for f in steady.of("trace_started")}:
            await steady.receive()
    assert_each_once(steady.frames)
