"""Conversations over REST, at a real server: who waits, streams, cancels, removes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.acceptance.rest_client import RestClient, in_time
from tests.managed_site import ManagedSite, managed_site
from tests.recording import NOBODYS, TERMINAL, Recorder, assert_gapless, assert_one_end_each

AGENT = '''
import asyncio
from pathlib import Path

async def agent(text):
    """Echoes; `hold FILE` goes on once the file is there."""
    yield "said: "
    deed, _, rest = text.partition(" ")
    while deed == "hold" and not Path(rest).exists():
        await asyncio.sleep(0.01)
    yield text
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedSite]:
    folder = tmp_path_factory.mktemp("talking")
    with managed_site(f"sqlite:///{folder / 'site.db'}", folder) as site:
        yield site


@pytest.fixture(scope="module")
def address(site: ManagedSite) -> str:
    """Of the site, where `parrot` runs."""
    serving = site.serve()
    site.register("parrot", site.write("parrot.py", AGENT), "--auto-start")
    site.until_runs("parrot")
    found = re.search(r"is ready at (http://[^/]+)/", serving.log)
    assert found is not None
    return found[1]


@pytest.fixture
async def client(address: str) -> AsyncIterator[RestClient]:
    async with RestClient(address) as client:
        yield client


@pytest.fixture
async def socket(address: str) -> AsyncIterator[Recorder]:
    url = address.replace("http", "ws", 1)
    async with await Recorder.open(f"{url}/services/parrot/") as recorder:
        yield recorder


async def test_who_waits_gets_the_end_and_a_message_sent_again_runs_once(
    client: RestClient,
) -> None:
    session = await client.begin("parrot")
    status, end = await client.say(session, "hello there", message_id="m")
    assert (status, end["event"], end["content"]) == (
        200,
        "agent.final_answer",
        "said: hello there",
    )
    assert await client.say(session, "hello there", message_id="m") == (200, end)
    events = await client.events(session)
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    assert events[-1] == end
    assert sum(each["event"] == "user.message" for each in events) == 1
    _, shown = await client.ask("GET", f"sessions/{session}")
    assert (shown["title"], shown["status"], shown["service"]) == ("hello there", "idle", "parrot")


async def test_who_leaves_or_waits_too_briefly_finds_the_answer_in_the_log(
    client: RestClient, tmp_path: Path
) -> None:
    session, gate = await client.begin("parrot"), tmp_path / "gate"
    waiting = asyncio.ensure_future(client.say(session, f"hold {gate}", message_id="m"))
    status, going_on = 0, {}
    while status != 202:
        # Sent again, it waits for the answer of the first.
        status, going_on = await client.say(session, f"hold {gate}", message_id="m", wait=0)
    waiting.cancel()
    assert (await client.ask("GET", f"sessions/{session}"))[1]["status"] == "running"
    gate.touch()
    path = going_on["events"].removeprefix("/api/v1/")
    async with client.stream("GET", path) as stream:
        end = await in_time(stream.until("agent.final_answer"))
    assert end["metadata"]["run_id"] == going_on["run_id"]
    assert (await client.say(session, "", message_id="m"))[0] == 400
    assert await client.say(session, f"hold {gate}", message_id="m") == (200, end)


async def test_a_stream_that_was_cut_is_resumed_with_every_event_once_and_in_order(
    client: RestClient, tmp_path: Path
) -> None:
    session, gate = await client.begin("parrot"), tmp_path / "gate"
    await client.say(session, f"hold {gate}", wait=0)
    await client.say(session, "queued", wait=0)
    path, body = f"sessions/{session}/messages", {"content": "last", "message_id": "last"}
    async with client.stream("POST", path, body) as stream:
        await in_time(stream.until("user.message"))
        first = stream.ids
        stream.cut()
    seen = {"Last-Event-ID": str(first[-1])}
    async with client.stream("POST", path, body, seen) as stream:
        await in_time(stream.until("agent.partial_answer"))
        gate.touch()
        while await in_time(stream.next()) is not None:
            pass
        rest = stream.ids
        assert stream.events[-1]["event"] == "agent.final_answer"
        assert stream.events[-1]["metadata"]["message_id"] == "last"
    events = await client.events(session)
    echo = next(each["seq"] for each in events if each["metadata"].get("message_id") == "last")
    assert first + rest == list(range(echo, len(events) + 1))
    # Who has all of it is told so at once.
    seen = {"Last-Event-ID": str(rest[-1])}
    async with client.stream("POST", path, body, seen) as stream:
        while await in_time(stream.next()) is not None:
            pass
        assert stream.ids == []


async def test_a_cancelled_answer_ends_for_whoever_waits_for_it(
    client: RestClient, tmp_path: Path
) -> None:
    session = await client.begin("parrot")
    _, going_on = await client.say(session, f"hold {tmp_path / 'never'}", wait=0, message_id="m")
    waiting = asyncio.ensure_future(client.say(session, "again", message_id="m"))
    path = f"sessions/{session}/cancel"
    status, cancelled = await client.ask("POST", path, {"run_id": going_on["run_id"]})
    assert (status, cancelled["session_id"]) == (202, session)
    status, end = await in_time(waiting)
    assert (status, end["event"]) == (200, "agent.interrupted")
    status, problem = await client.ask("POST", path, {})
    assert (status, problem["code"]) == (409, "not_running")


async def test_a_conversation_that_is_removed_while_it_runs_ends_first_and_then_is_gone(
    client: RestClient, socket: Recorder, site: ManagedSite, tmp_path: Path
) -> None:
    session = await socket.create_session()
    await socket.say(session, f"hold {tmp_path / 'never'}")
    await socket.until("user.message")
    waiting = asyncio.ensure_future(client.ask("DELETE", f"sessions/{session}"))
    await socket.until("agent.session_end")
    assert await in_time(waiting) == (204, None)
    assert_gapless(socket.frames)
    assert_one_end_each(socket.frames)
    assert [f["event"] for f in socket.frames if f["event"] in TERMINAL] == ["agent.interrupted"]
    assert (await client.ask("GET", f"sessions/{session}"))[0] == 404
    await socket.say(session, "are you there?")
    await socket.error("unknown_session")
    for table in ("session", "run", "event"):
        column = "id" if table == "session" else "session_id"
        assert not site.query(f"SELECT 1 FROM agents_{table} WHERE {column} = '{session}'")


async def test_an_answer_is_rated_and_the_rating_is_taken_back(
    client: RestClient, socket: Recorder
) -> None:
    session = await client.begin("parrot")
    _, end = await client.say(session, "hello there", message_id="a/b")
    await socket.reconnect(session)
    trace = f"traces/{end['metadata']['run_id']}"
    path = f"sessions/{session}/messages/a%2Fb/feedback"
    status, rated = await client.ask("PUT", path, {"score": -1, "comment": "Only an echo."})
    assert (status, rated["score"], rated["comment"]) == (200, -1, "Only an echo.")
    assert (rated["message_id"], rated["run_id"]) == ("a/b", end["metadata"]["run_id"])
    assert (await socket.until("user.feedback"))["content"] == "Only an echo."
    assert await client.ask("PUT", path, {"score": -1, "comment": "Only an echo."}) == (200, rated)
    (shown,) = (await client.ask("GET", trace))[1]["feedback"]
    assert shown == {
        "principal": "",
        "score": -1,
        "comment": "Only an echo.",
        "given_at": rated["given_at"],
    }
    _, page = await client.ask("GET", "traces?feedback=negative")
    assert [each["trace_id"] for each in page["items"]] == [rated["run_id"]]
    _, stats = await client.ask("GET", "traces/stats?by=service")
    assert stats["feedback"] == [
        {"group": "parrot", "count": 1, "positive": 0, "negative": 1, "avg_score": -1}
    ]
    assert await client.ask("DELETE", path) == (204, None)
    assert await client.ask("DELETE", path) == (204, None)
    assert (await client.ask("GET", trace))[1]["feedback"] == []
    assert sum(each["event"] == "user.feedback" for each in await client.events(session)) == 2


async def test_what_is_refused_says_why(client: RestClient) -> None:
    session = await client.begin("parrot")
    rating = f"sessions/{session}/messages"
    for asked, status, code in (
        (client.say(NOBODYS, "hi"), 404, "unknown_session"),
        (client.say(session, " "), 400, "invalid_event"),
        (client.say(session, "x" * (256 * 1024 + 1)), 413, "too_large"),
        (client.say(session, "hi", message_id="m" * 65), 400, "invalid"),
        (client.ask("PUT", f"{rating}/m/feedback", {"score": 1}), 404, "unknown_message"),
        (client.ask("PUT", f"{rating}/m/feedback", {"score": 2}), 400, "invalid"),
        (client.ask("PUT", f"{rating}/m/feedback", {}), 400, "invalid"),
        (client.ask("DELETE", f"{rating}/m/feedback"), 404, "unknown_message"),
        (client.ask("POST", "sessions", {"service": "nobody"}), 404, "no_service"),
        (client.ask("POST", "sessions", {"client": {"a": "x" * 20_000}}), 413, "too_large"),
    ):
        found, problem = await asked
        assert (found, problem["code"]) == (status, code)
        assert problem["detail"]
