"""What clients say an answer is worth: kept like a message, told to everybody in the session."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_model_control import FakeModelControl
from tests.recording import Frame, Recorder, assert_gapless, durable, kinds, log_of
from tests.runners import SERVERS, Runner

from .conftest import Serve

pytestmark = pytest.mark.both_databases(when_long=True)


@pytest.fixture(scope="module", params=SERVERS)
def runner(request: pytest.FixtureRequest, serve_module: Serve) -> Iterator[Runner]:
    with serve_module("tools.py", server=request.param) as runner:
        yield runner


async def rate(
    client: Recorder, session: str, score: float | None, comment: Any = None, message_id: str = "m"
) -> None:
    metadata = {"message_id": message_id, "score": score}
    await client.send("user.feedback", session, content=comment, metadata=metadata)


async def rated(client: Recorder, session: str, *given: Any) -> Frame:
    await rate(client, session, *given)
    return await client.until("user.feedback")


async def test_feedback_is_numbered_and_told_to_every_socket_of_the_session(
    client: Recorder, session: str, runner: Runner
) -> None:
    end = await client.ask(session, "Hello", message_id="m")
    async with await Recorder.open(runner.url) as other:
        await other.reconnect(session)
        echo = await rated(client, session, 1, "  just right ")
        assert echo["content"] == "just right"
        assert echo["metadata"] == {
            "run_id": end["metadata"]["run_id"],
            "message_id": "m",
            "score": 1,
        }
        assert echo["seq"] == end["seq"] + 1
        assert await other.until("user.feedback") == echo
    assert (await log_of(runner.url, session))[-1] == echo


async def test_the_last_word_counts_and_what_was_said_before_is_not_logged_again(
    client: Recorder, session: str, runner: Runner
) -> None:
    await client.ask(session, "Hello", message_id="m")
    first = await rated(client, session, 0.5)
    again = await rated(client, session, 0.5)
    assert "seq" not in again
    assert again["metadata"]["duplicate"] is True
    assert again["metadata"]["original_seq"] == first["seq"]
    changed = await rated(client, session, -1, "too long")
    withdrawn = await rated(client, session, None, "never mind")
    assert (withdrawn["content"], withdrawn["metadata"]["score"]) == (None, None)
    assert (await rated(client, session, None))["metadata"]["original_seq"] == withdrawn["seq"]
    log = [each for each in await log_of(runner.url, session) if each["event"] == "user.feedback"]
    assert log == [first, changed, withdrawn]


async def test_feedback_that_follows_at_once_is_never_taken_for_what_it_replaces(
    client: Recorder, session: str
) -> None:
    await client.ask(session, "Hello", message_id="m")
    await rated(client, session, 1)
    for score in (-1, 1, -1, 1):
        await rate(client, session, score)
    for _ in range(4):
        await client.until("user.feedback", where=lambda frame: "seq" in frame)
    logged = [frame for frame in durable(client.frames) if frame["event"] == "user.feedback"]
    assert [frame["metadata"]["score"] for frame in logged] == [1, -1, 1, -1, 1]
    assert_gapless(client.frames)


async def test_feedback_starts_nothing_and_is_not_told_to_the_model(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await client.ask(session, "Hello", message_id="m")
    await rated(client, session, -1, "nonsense")
    await client.fence(session)
    assert kinds(client.frames[-2:]) == ["user.feedback", "system.notice"]
    await client.ask(session, f"And now? {nonce}")
    (context,) = await model.requests_about(nonce)
    assert not any("nonsense" in str(message) for message in context)


async def test_an_answer_that_is_not_there_yet_is_not_rated(
    client: Recorder, session: str, model: FakeModelControl, nonce: str
) -> None:
    await client.say(session, f"[[hold {nonce}]] wait", message_id="m")
    await model.held(nonce)
    await rate(client, session, 1)
    error = await client.error("busy")
    assert error["metadata"]["message_id"] == "m"
    await client.send("user.cancel", session)
    await client.until("agent.interrupted")
    # However it ended.
    assert (await rated(client, session, -1))["metadata"]["score"] == -1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"metadata": {"message_id": "other", "score": 1}}, "unknown_message"),
        ({"metadata": {"message_id": "m", "score": 1.01}}, "invalid_event"),
        ({"metadata": {"message_id": "m", "score": "1"}}, "invalid_event"),
        ({"metadata": {"message_id": "m", "score": True}}, "invalid_event"),
        ({"metadata": {"message_id": "m"}}, "invalid_event"),
        ({"metadata": {"score": 1}}, "invalid_event"),
        ({}, "invalid_event"),
        ({"content": {"a": 1}, "metadata": {"message_id": "m", "score": 1}}, "invalid_event"),
        ({"content": "x" * 2_001, "metadata": {"message_id": "m", "score": 1}}, "too_large"),
    ],
)
async def test_what_is_no_feedback_is_refused_and_changes_nothing(
    client: Recorder, session: str, fields: dict[str, Any], code: str
) -> None:
    end = await client.ask(session, "Hello", message_id="m")
    await client.send("user.feedback", session, **fields)
    await client.error(code)
    assert (await rated(client, session, 1, "x" * 2_000))["seq"] == end["seq"] + 1


async def test_a_session_that_has_ended_takes_no_feedback(client: Recorder, session: str) -> None:
    await client.ask(session, "Hello", message_id="m")
    await client.send("user.close_session", session)
    await client.until("agent.session_end")
    await rate(client, session, 1)
    error = await client.error("session_closed")
    assert error["metadata"]["message_id"] == "m"


async def test_the_other_dialects_are_not_disturbed(
    client: Recorder, session: str, runner: Runner
) -> None:
    await client.ask(session, "Hello", message_id="m")
    async with await Recorder.dial(f"{runner.url}ws/chat/ada?session_id={session}") as chat:
        await chat.send_raw('{"query": "One"}')
        await _until_completed(chat)
        await rated(client, session, 1, "fine")
        await chat.send_raw('{"query": "Two"}')
        told = await _until_completed(chat)
    assert [each["status"] for each in told if each["type"] == "status"] == [
        "thinking",
        "completed",
    ]


async def _until_completed(chat: Recorder) -> list[Frame]:
    told: list[Frame] = []
    while not told or told[-1].get("status") != "completed":
        async with asyncio.timeout(30):
            told.append(await chat.receive())
    return told
