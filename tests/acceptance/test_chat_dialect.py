"""The chat dialect over real sockets: what a front end of twenty lines can rely on."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.chat_screen import Frame, Screen, Turn
from tests.crash.witness import query, until_logged_ends
from tests.fake_model_control import FakeModelControl
from tests.recording import PATIENCE_S, Recorder, kinds, log_of
from tests.runners import SERVERS_WHEN_LONG, Runner

from .conftest import Serve
from .plain_http import health

ORDER = '[[tool order {"item": "tea", "amount": 2}]]'
MIXED = "北京今天的天气👩‍👩‍👧‍👦 is fine, 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 e\u0301 🏳️‍🌈 "


@pytest.fixture(scope="module", params=SERVERS_WHEN_LONG)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py", server=request.param) as runner:
        yield runner


@pytest.fixture(scope="module", params=SERVERS_WHEN_LONG)
def parrot(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    with serve_module("parrot.py", server=request.param) as runner:
        yield runner


class Chatter:
    """A client of the chat dialect that writes down all it sees."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []

    @property
    def screen(self) -> Screen:
        return Screen.of(self.frames)

    @property
    def turn(self) -> Turn:
        return self.screen.turns[-1]

    @property
    def session_id(self) -> str:
        return next(
            str(frame["data"]["session_id"])
            for frame in self.frames
            if "session_id" in frame.get("data", {})
        )

    async def send(self, **fields: Any) -> None:
        await self.socket.send(json.dumps(fields))

    async def receive(self) -> Frame:
        async with asyncio.timeout(PATIENCE_S):
            frame: Frame = json.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def until(self, where: Callable[[Frame], bool]) -> Frame:
        while not where(frame := await self.receive()):
            pass
        return frame

    async def until_text(self, text: str) -> None:
        """Until this is on the screen of the turn that is told."""
        while (turn := self.screen.current) is None or text not in turn.text:
            await self.receive()

    async def completed(self) -> Turn:
        """Reads to the end of the next turn."""
        await self.until(lambda frame: frame.get("status") == "completed")
        return self.turn

    async def ask(self, text: str) -> Turn:
        await self.send(query=text)
        return await self.completed()

    async def error(self) -> str:
        return str((await self.until(lambda frame: frame["type"] == "error"))["content"])

    async def read_to_close(self) -> int | None:
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return self.socket.close_code


@asynccontextmanager
async def chat(
    runner: Runner, user: str = "ann", *, origin: str | None = None, **query: object
) -> AsyncIterator[Chatter]:
    wanted = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
    url = f"{runner.url}ws/chat/{user}?{wanted}"
    async with connect(
        url, compression=None, max_size=None, close_timeout=2, origin=origin
    ) as socket:
        yield Chatter(socket)


async def answer_in_log(runner: Runner, session_id: str) -> str:
    """The newest answer, as the events dialect has it."""
    log = await log_of(runner.url, session_id)
    return str([each for each in log if each["event"] == "agent.final_answer"][-1]["content"])


def statuses(frames: list[Frame]) -> list[str]:
    return [frame["status"] for frame in frames if frame["type"] == "status"]


# A turn.


async def test_a_query_is_answered_by_a_turn(runner: Runner) -> None:
    async with chat(runner) as client:
        turn = await client.ask("Hello")
        assert turn.text == "Answer to: Hello"
        assert statuses(client.frames) == ["thinking", "completed"]
        assert client.frames[-2]["is_final"] is True
        assert turn.completed and turn.completed["status"] == "answered"
        assert turn.completed["session_id"] == client.session_id


async def test_opening_a_page_begins_no_session(serve: Serve) -> None:
    with serve("tools.py") as runner:
        async with chat(runner) as client:
            await client.send(action="cancel")
            await client.socket.send("{}")
            await client.error()
            assert (await health(runner))["active_sessions"] == 0
            await client.ask("Hello")
            assert (await health(runner))["active_sessions"] == 1


async def test_tools_come_in_pairs_around_their_work(runner: Runner) -> None:
    text = '[[say Let me add.]] [[tool add {"a": 1, "b": 2}]] [[tool broken]] and'
    async with chat(runner) as client:
        turn = await client.ask(text)
        assert turn.tools == [("add", "success"), ("broken", "error")]
        assert turn.said == ["Let me add.", ""]
        assert turn.text == await answer_in_log(runner, client.session_id)
        calls = [frame for frame in client.frames if frame.get("status") == "tool_calling"]
        assert [(call["data"]["tool"], call["data"]["args"]) for call in calls] == [
            ("add", {"a": 1, "b": 2}),
            ("broken", {}),
        ]


@pytest.mark.parametrize("length", [1, 2, 7, 8, 1_000, 100_000])
async def test_the_joined_chunks_are_the_answer_whatever_its_length(
    parrot: Runner, length: int
) -> None:
    text = (MIXED * (length // len(MIXED) + 1))[:length]
    async with chat(parrot) as client:
        turn = await client.ask(f"{length} {MIXED}")
        assert turn.text == text
        chunks = [frame["content"] for frame in client.frames if frame["type"] == "chunk"]
        assert "".join(chunks) == text, "nothing twice, nothing dropped"


@pytest.mark.parametrize(("length", "chunks"), [(60, 60), (3_000, 700), (80_000, 300)])
async def test_the_joined_chunks_are_the_models_answer(
    runner: Runner, length: int, chunks: int
) -> None:
    text = " ".join((MIXED * (length // len(MIXED) + 1))[:length].split())
    async with chat(runner) as client:
        turn = await client.ask(f"{text} [[chunks={chunks} delay_ms=1]]")
        assert turn.text == f"Answer to: {text}"
        told = [frame for frame in client.frames if frame["type"] == "chunk"]
        assert "".join(frame["content"] for frame in told) == turn.text
        assert len(told) > 2, "it grew in steps"


async def test_the_user_and_the_service_are_kept_with_the_session(
    serve: Serve, fresh_database_url: str
) -> None:
    with serve("tools.py") as runner:
        async with chat(runner, "a%2Fb%20%E5%BC%A0", service="tools") as client:
            await client.ask("Hello")
            sql = f"SELECT client FROM agents_session WHERE id = '{client.session_id}'"
            assert json.loads(query(fresh_database_url, sql)[0][0]) == {"user_id": "a/b 张"}


async def test_sentences_are_in_the_language_of_the_address(runner: Runner) -> None:
    async with chat(runner, lang="zh-CN") as client:
        await client.ask("Hello")
        assert re.search("[\u4e00-\u9fff]", client.frames[0]["data"]["message"])


# Several queries, stopping, and other sockets.


async def test_queries_wait_their_turn(runner: Runner, model: FakeModelControl, nonce: str) -> None:
    async with chat(runner) as client:
        await client.send(query=f"[[hold {nonce} after=4]] first")
        await model.held(nonce)
        await client.send(query="second")
        await client.send(query="third")
        await model.release(nonce)
        for _ in range(3):
            await client.completed()
        texts = [turn.text for turn in client.screen.turns]
        assert texts == ["Answer to: first", "Answer to: second", "Answer to: third"]


async def test_cancel_stops_the_answer(runner: Runner, model: FakeModelControl, nonce: str) -> None:
    async with chat(runner) as client:
        await client.send(query=f"[[hold {nonce} after=4]] a long answer")
        await client.until_text("Answer")
        await client.send(action="cancel")
        turn = await client.completed()
        assert turn.completed and turn.completed["status"] == "interrupted"
        assert not turn.errors
        assert (await client.ask("go on")).text == "Answer to: go on"


async def test_a_cancel_of_nothing_is_no_error(runner: Runner) -> None:
    async with chat(runner) as client:
        await client.send(action="cancel")
        await client.ask("Hello")
        await client.send(action="cancel")
        await client.ask("again")
        assert not client.screen.errors
        assert len(client.screen.turns) == 2


async def test_a_tool_that_needs_a_yes_waits_for_another_dialects_socket(runner: Runner) -> None:
    async with chat(runner) as client, await Recorder.open(runner.url) as other:
        await client.send(query=f"{ORDER} please")
        asked = await client.until(lambda frame: "waiting_for" in frame.get("data", {}))
        assert asked["data"]["tool"] == "order"
        assert "tool_calling" not in statuses(client.frames)
        await other.reconnect(client.session_id)
        question = next(each for each in other.frames if each["event"] == "agent.user_confirm")
        await other.send(
            "user.response",
            client.session_id,
            step_id=question["step_id"],
            content={"approved": True},
        )
        turn = await client.completed()
        assert turn.tools == [("order", "success")]


async def test_two_chats_on_one_session_see_the_same_turns(runner: Runner) -> None:
    async with chat(runner) as client:
        await client.ask("one")
        async with chat(runner, session_id=client.session_id) as other:
            await other.send(query="two")
            assert (await other.completed()).text == "Answer to: two"
            assert (await client.completed()).text == "Answer to: two"


# Leaving and coming back.


async def test_a_conversation_goes_on_where_it_was_and_tells_nothing_again(runner: Runner) -> None:
    async with chat(runner) as client:
        await client.ask("My name is Ann")
        session_id = client.session_id
    async with chat(runner, session_id=session_id) as client:
        turn = await client.ask("[[echo_history]]")
        assert len(client.screen.turns) == 1
        assert "reset" not in client.frames[0]["data"]
        assert "My name is Ann" in json.loads(turn.text)["contents"]


async def test_an_answer_goes_on_after_a_disconnect_in_its_middle(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    async with chat(runner) as client:
        await client.send(query=f"[[hold {nonce} after=4]] half 一半 and more")
        await client.until_text("Answer")
        session_id = client.session_id
        client.socket.transport.abort()
    async with chat(runner, session_id=session_id) as client:
        first = await client.receive()
        assert first["data"]["reset"] is True, "the client drops what it has of the turn"
        await client.until_text("Answer")
        await model.release(nonce)
        assert (await client.completed()).text == "Answer to: half 一半 and more"


async def test_turns_that_ended_while_the_client_was_away_are_told(
    runner: Runner, model: FakeModelControl, nonce: str
) -> None:
    async with chat(runner) as client, await Recorder.open(runner.url) as other:
        before = await client.ask("before")
        await client.send(query=f"[[hold {nonce} after=4]] first")
        await model.held(nonce)
        await client.send(query="second")
        session_id = client.session_id
        await other.reconnect(session_id)
        while not any(frame["content"] == "second" for frame in other.frames):
            await other.receive()
        await client.socket.close()
        await model.release(nonce)
        for _ in range(2):
            await other.until("agent.final_answer")
    assert before.completed
    async with chat(runner, session_id=session_id, after=before.completed["seq"]) as client:
        await client.completed()
        await client.completed()
        assert [turn.text for turn in client.screen.turns] == [
            "Answer to: first",
            "Answer to: second",
        ]


async def test_after_tells_from_where_turns_are_wanted(runner: Runner) -> None:
    async with chat(runner) as client:
        seqs = [0]
        for text in ("one", "two", "three"):
            turn = await client.ask(text)
            assert turn.completed
            seqs.append(turn.completed["seq"])
        session_id = client.session_id
    for count, seq in enumerate(seqs):
        async with chat(runner, session_id=session_id, after=seq) as client:
            wanted = ["one", "two", "three"][count:] + ["last"] * (count + 1)
            await client.send(query="last")
            for _ in wanted:
                await client.completed()
            texts = [turn.text for turn in client.screen.turns]
            assert texts == [f"Answer to: {text}" for text in wanted]


@pytest.mark.parametrize("after", ["-1", "x", "2", "9" * 15, "9" * 40, "１"])
async def test_an_odd_place_harms_nobody(runner: Runner, after: str) -> None:
    async with chat(runner) as client:
        await client.ask("one")
        session_id = client.session_id
    async with chat(runner, session_id=session_id, after=after) as client:
        while (await client.ask("two")).text != "Answer to: two":
            pass
        assert not client.screen.errors


# What breaks.


async def test_an_answer_that_breaks_off_is_taken_back_and_told_again(
    runner: Runner, nonce: str
) -> None:
    async with chat(runner) as client:
        turn = await client.ask(f"[[drop after=4 times=1]] {nonce} whole")
        assert turn.text == f"Answer to: {nonce} whole"
        resets = [frame for frame in client.frames if frame.get("data", {}).get("reset")]
        assert [frame["status"] for frame in resets] == ["thinking"]


@pytest.mark.both_databases(when_long=True)
async def test_an_answer_is_whole_after_its_runner_was_killed(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    with serve("tools.py") as runner:
        async with chat(runner) as client:
            await client.send(query=f"[[hold {nonce} after=4 times=1]] {nonce} after the crash")
            await client.until_text("Answer")
            session_id = client.session_id
            runner.kill()
            await client.read_to_close()
    with serve("tools.py") as runner:
        async with chat(runner, session_id=session_id, after=0) as client:
            turn = await client.completed()
            assert turn.text == f"Answer to: {nonce} after the crash"
            assert client.frames[0]["data"]["reset"] is True


@pytest.mark.both_databases(when_long=True)
async def test_an_answer_that_was_finished_after_a_crash_waits_for_its_client(
    serve: Serve, model: FakeModelControl, fresh_database_url: str, nonce: str
) -> None:
    with serve("tools.py") as runner:
        async with chat(runner) as client:
            before = await client.ask("before")
            await client.send(query=f"[[hold {nonce} after=4 times=1]] {nonce} late")
            await client.until_text("Answer")
            session_id = client.session_id
            runner.kill()
    with serve("tools.py") as runner:
        await until_logged_ends(fresh_database_url, session_id, 2)
        assert before.completed
        async with chat(runner, session_id=session_id, after=before.completed["seq"]) as client:
            turn = await client.completed()
            assert turn.text == f"Answer to: {nonce} late"
            assert len(client.screen.turns) == 1
        async with chat(runner, session_id=session_id) as client:
            assert (await client.ask("on")).text == "Answer to: on"
            assert len(client.screen.turns) == 1


async def test_a_model_that_fails_ends_the_turn_with_a_sentence(runner: Runner) -> None:
    async with chat(runner) as client:
        turn = await client.ask("[[status 401]] fail")
        assert len(turn.errors) == 1
        assert turn.completed and turn.completed["status"] == "failed"
        assert (await client.ask("again")).text == "Answer to: again"


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        b"\x00",
        "{}",
        '{"query": 1}',
        '{"query": ""}',
        '{"query": " \\n\\t\u3000"}',
        '{"query": null}',
        '{"action": "fly"}',
        '{"query": "a", "token": 7}',
        '{"query": "a", "action": "cancel"}',
        '{"query": "%s"}' % ("x" * 300_000),
        '{"query": "%s"}' % ("x" * 600_000),
        '{"query": "\\ud800"}',
        '{"query": ' + "[" * 3000 + "]" * 3000 + "}",
    ],
    ids=lambda frame: repr(frame)[:24],
)
async def test_a_frame_that_makes_no_sense_gets_a_sentence(
    runner: Runner, frame: str | bytes
) -> None:
    async with chat(runner) as client:
        await client.socket.send(frame)
        sentence = await client.error()
        assert len(sentence) > 10 and sentence[-1] in ".!"
        assert (await client.ask("Hello")).text == "Answer to: Hello"


async def test_three_unusable_frames_in_a_row_close_the_socket(runner: Runner) -> None:
    async with chat(runner) as client:
        for _ in range(3):
            await client.socket.send("{")
        assert await client.read_to_close() == 4400
        assert len(client.screen.errors) == 3


async def test_a_conversation_that_is_not_there_is_an_error_and_the_next_query_begins_one(
    runner: Runner,
) -> None:
    async with chat(runner, session_id="nowhere") as client:
        assert await client.error() == "There is no such conversation here."
        assert (await client.ask("Hello")).text == "Answer to: Hello"


async def test_a_conversation_that_has_ended_takes_no_query(runner: Runner) -> None:
    async with await Recorder.open(runner.url) as other:
        session_id = await other.create_session()
        await other.send("user.close_session", session_id)
        await other.until("agent.session_end")
    async with chat(runner, session_id=session_id) as client:
        await client.send(query="Hello")
        assert await client.error() == "This conversation has ended. Start a new one."


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("ws/chat/", 4400),
        ("ws/chat/ann?service=other", 4004),
        ("ws/chat/" + "x" * 192, 4400),
        ("ws/chat/a/b", 4400),
    ],
)
async def test_an_address_that_is_not_served_is_refused_with_a_reason(
    runner: Runner, path: str, code: int
) -> None:
    async with connect(runner.url + path, close_timeout=2) as socket:
        client = Chatter(socket)
        assert await client.read_to_close() == code
        assert len(client.frames) == 1
        assert client.frames[0]["content"]


async def test_a_page_of_another_site_may_not_chat(runner: Runner) -> None:
    async with chat(runner, origin="https://evil.example") as client:
        assert await client.read_to_close() == 4003
        assert len(client.screen.errors) == 1
    async with chat(runner, origin="http://localhost:5173") as client:
        assert (await client.ask("Hello")).text == "Answer to: Hello"


async def test_a_flood_is_refused_in_the_dialects_own_words(serve: Serve) -> None:
    env = {"MYAGENT_MESSAGES_PER_SECOND": "1", "MYAGENT_MESSAGE_BURST": "2"}
    with serve("tools.py", env=env) as runner:
        async with chat(runner) as client:
            for _ in range(120):
                await client.send(action="cancel")
            assert await client.read_to_close() == 4029
            assert set(client.screen.errors) == {
                "Too many messages. Wait a moment, then send it again."
            }


async def test_a_full_queue_refuses_a_query(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    with serve("tools.py", env={"MYAGENT_QUEUE_LENGTH": "1"}) as runner:
        async with chat(runner) as client:
            await client.send(query=f"[[hold {nonce} after=2]] first")
            await model.held(nonce)
            await client.send(query="second")
            await client.send(query="third")
            await client.error()
            await model.release(nonce)
            await client.completed()
            await client.completed()
            assert [turn.text for turn in client.screen.turns] == [
                "Answer to: first",
                "Answer to: second",
            ]


async def test_a_runner_that_leaves_says_so_and_the_answer_goes_on_with_the_next(
    serve: Serve, model: FakeModelControl, nonce: str
) -> None:
    env = {"MYAGENT_SHUTDOWN_GRACE_S": "0"}
    with serve("tools.py", env=env) as runner:
        async with chat(runner) as client:
            await client.send(query=f"[[hold {nonce} after=4 times=1]] {nonce} on")
            await client.until_text("Answer")
            session_id = client.session_id
            stopping = asyncio.create_task(asyncio.to_thread(runner.stop))
            assert await client.read_to_close() == 4012
            assert client.frames[-1]["type"] == "error"
            await stopping
    with serve("tools.py") as runner:
        async with chat(runner, session_id=session_id, after=0) as client:
            assert (await client.completed()).text == f"Answer to: {nonce} on"


async def test_what_a_chat_does_is_the_same_log(runner: Runner) -> None:
    async with chat(runner) as client:
        await client.ask("Hello")
        log = await log_of(runner.url, client.session_id)
    assert kinds(log) == [
        "agent.session_created",
        "user.message",
        "agent.thinking",
        "agent.final_answer",
    ]
