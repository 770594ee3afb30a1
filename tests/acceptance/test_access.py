"""With `MYAGENT_AUTH=token`, a server knows who its clients are, and refuses all others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests import accounts
from tests.acceptance.rest_client import Stream, in_time
from tests.recording import Recorder, assert_gapless
from tests.runners import Runner
from tests.trace_client import watcher

from .conftest import Serve

CLOSING_S = 50.0
"""Ten times the seconds within which a revoked token's sockets close."""

People = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def environment(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return accounts.environment_of(database_url, tmp_path_factory.mktemp("var"))


@pytest.fixture(scope="module")
def runner(serve_module: Serve, environment: dict[str, str]) -> Runner:
    return serve_module(
        "parrot.py", env={"MYAGENT_AUTH": "token", "SECRET_KEY": environment["SECRET_KEY"]}
    )


@pytest.fixture(scope="module")
def people(runner: Runner, environment: dict[str, str]) -> People:
    return accounts.make(
        environment,
        ada={},
        bob={},
        root={"is_superuser": True},
        carl={"permissions": []},
        onlooker={"permissions": ["use_service", "see_conversations"]},
        watcher={"user": "ada", "token": {"rights": ["view"]}},
        leaving={"user": "ada"},
        reading={"user": "ada"},
        late={"user": "ada", "token": {"expires": 1}},
    )


def bearing(person: dict[str, str]) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {person['token']}"}}


async def refusal(url: str, **options: Any) -> tuple[str, int]:
    """The code of the error that precedes the close, and the close code."""
    async with await Recorder.dial(url, **options) as client:
        problem = (await client.until("system.error"))["metadata"]["code"]
        return problem, await client.read_to_close()


async def test_a_conversation_goes_on_under_the_token_that_began_it(
    runner: Runner, people: People
) -> None:
    async with await Recorder.open(runner.url, **bearing(people["ada"])) as client:
        session = await client.create_session()
        assert (await client.ask(session, "10 one"))["event"] == "agent.final_answer"
        client.drop()
    async with await Recorder.open(runner.url, **bearing(people["ada"])) as client:
        assert_gapless(await client.reconnect(session))
        assert (await client.ask(session, "10 two"))["event"] == "agent.final_answer"


async def test_the_id_of_somebody_elses_session_opens_nothing(
    runner: Runner, people: People
) -> None:
    async with await Recorder.open(runner.url, **bearing(people["ada"])) as owner:
        session = await owner.create_session()
        async with await Recorder.open(runner.url, **bearing(people["bob"])) as thief:
            await thief.send("user.reconnect", session, metadata={"last_seq": 0})
            await thief.error("forbidden")
            await thief.say(session, "mine now")
            await thief.error("forbidden")
        async with await Recorder.open(runner.url, **bearing(people["root"])) as administrator:
            assert_gapless(await administrator.reconnect(session))
        assert (await owner.ask(session, "10 still here"))["event"] == "agent.final_answer"


async def test_feedback_is_of_whoever_may_take_part_and_of_each_apart(
    runner: Runner, people: People
) -> None:
    async def rate(client: Recorder, score: float) -> None:
        metadata = {"message_id": "rated", "score": score}
        await client.send("user.feedback", session, metadata=metadata)

    async with (
        await Recorder.open(runner.url, **bearing(people["ada"])) as owner,
        await Recorder.open(runner.url, **bearing(people["bob"])) as thief,
        await Recorder.open(runner.url, **bearing(people["onlooker"])) as onlooker,
        await Recorder.open(runner.url, **bearing(people["root"])) as administrator,
    ):
        session = await owner.create_session()
        await owner.ask(session, "10 hello", message_id="rated")
        await rate(thief, -1)
        await thief.error("forbidden")
        await onlooker.reconnect(session)
        await rate(onlooker, -1)
        await onlooker.error("forbidden")
        await rate(owner, 1)
        own = await owner.until("user.feedback")
        await rate(administrator, 1)
        others = await administrator.until("user.feedback")
        assert await owner.until("user.feedback") == others
        await rate(owner, 1)
        again = await owner.until("user.feedback")
        assert again["metadata"]["original_seq"] == own["seq"] < others["seq"]
        assert own["metadata"]["principal"] != others["metadata"]["principal"]


PLACES: dict[str, Callable[[str, dict[str, str]], tuple[str, dict[str, Any]]]] = {
    "header": lambda url, ada: (url, bearing(ada)),
    "subprotocol": lambda url, ada: (
        url,
        {"subprotocols": ["myagent.v1", f"token.{ada['token']}"]},
    ),
    "query": lambda url, ada: (f"{url}?token={ada['token']}", {}),
    "login": lambda url, ada: (
        url,
        {"additional_headers": {"Cookie": ada["cookie"]}, "origin": url[:-1].replace("ws", "http")},
    ),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_client_is_known_by_each_place(place: str, runner: Runner, people: People) -> None:
    url, options = PLACES[place](runner.url, people["ada"])
    async with await Recorder.open(url, **options) as client:
        assert client.socket.subprotocol == ("myagent.v1" if place == "subprotocol" else None)
        assert await client.create_session()


async def test_the_chat_dialect_takes_the_token_of_the_first_query(
    runner: Runner, people: People
) -> None:
    url = f"{runner.url}ws/chat/somebody"
    async with await Recorder.dial(url) as client:
        await client.send_raw(json.dumps({"query": "10 hello", "token": people["ada"]["token"]}))
        said: dict[str, Any] = {}
        async with asyncio.timeout(CLOSING_S):
            while said.get("status") != "completed":
                said = json.loads(await client.socket.recv())
                assert said["type"] != "error", said
    async with await Recorder.dial(url) as client:
        await client.send_raw(json.dumps({"query": "10 hello", "token": "myagent_" + "0" * 64}))
        assert json.loads(await client.socket.recv())["type"] == "error"
        await client.socket.wait_closed()
        assert client.socket.close_code == 4001


async def test_a_label_of_the_trace_dialect_is_each_clients_own(
    runner: Runner, people: People
) -> None:
    url = f"{runner.url}ws/shared"
    async with watcher(url, **bearing(people["ada"])) as ada:
        await ada.ask("10 of ada")
        async with watcher(url, **bearing(people["bob"])) as bob:
            await bob.ask("10 of bob")
            assert [frame["data"]["request"] for frame in bob.of("trace_started")] == ["10 of bob"]
        await ada.ask("10 again")
        asked = [frame["data"]["request"] for frame in ada.of("trace_started")]
        assert asked == ["10 of ada", "10 again"]


async def test_a_viewer_of_all_traces_sees_its_own_unless_it_may_see_everybodys(
    runner: Runner, people: People
) -> None:
    url = f"{runner.url}ws/traces/"
    async with (
        watcher(url, **bearing(people["bob"])) as bob,
        watcher(url, **bearing(people["root"])) as root,
    ):
        for viewer in (bob, root):
            await viewer.receive()
        for name in ("ada", "bob"):
            async with watcher(f"{runner.url}ws/asked", **bearing(people[name])) as client:
                await client.ask(f"10 watched of {name}")
        for viewer, runs in ((bob, 1), (root, 2)):
            while len(viewer.of("trace_completed")) < runs:
                await viewer.receive()
        asked = [[f["data"]["request"] for f in v.of("trace_started")] for v in (bob, root)]
        assert asked == [["10 watched of bob"], ["10 watched of ada", "10 watched of bob"]]


@pytest.mark.parametrize(("name", "code"), [("", 4001), ("carl", 4003)])
async def test_who_may_not_use_agents_watches_nothing(
    runner: Runner, people: People, name: str, code: int
) -> None:
    options = bearing(people[name]) if name else {}
    async with watcher(f"{runner.url}ws/traces/", **options) as client:
        assert await client.read_to_close() == code
        assert [frame["event_type"] for frame in client.frames] == ["run_error"]


@pytest.mark.parametrize(("name", "code"), [("", 4001), ("carl", 4003)])
async def test_who_may_not_use_agents_starts_none_by_a_label(
    runner: Runner, people: People, name: str, code: int
) -> None:
    async with watcher(f"{runner.url}ws/mine", **(bearing(people[name]) if name else {})) as client:
        assert await client.read_to_close() == code
        assert [frame["event_type"] for frame in client.frames] == ["run_error"]


async def test_a_cookie_of_a_login_that_has_ended_does_not_stand_in_the_tokens_way(
    runner: Runner, people: People
) -> None:
    cookie = {"additional_headers": {"Cookie": f"myagent_session={'0' * 32}"}}
    origin = runner.url[:-1].replace("ws", "http")
    async with await Recorder.dial(
        f"{runner.url}ws/chat/somebody", origin=origin, **cookie
    ) as client:
        await client.send_raw(json.dumps({"query": "10 hello", "token": people["ada"]["token"]}))
        assert json.loads(await client.socket.recv())["type"] == "status"


WRONG: dict[str, Callable[[str, People], tuple[str, dict[str, Any]]]] = {
    "nothing": lambda url, _: (url, {}),
    "no token": lambda url, _: (f"{url}?token=x", {}),
    "an unknown one": lambda url, _: (f"{url}?token=myagent_{'0' * 64}", {}),
    "another scheme": lambda url, people: (
        url,
        {"additional_headers": {"Authorization": f"Token {people['ada']['token']}"}},
    ),
    "another parameter": lambda url, people: (f"{url}?key={people['ada']['token']}", {}),
    "a cookie": lambda url, people: (
        url,
        {"additional_headers": {"Cookie": f"token={people['ada']['token']}"}},
    ),
    "a login without a page": lambda url, people: (
        url,
        {"additional_headers": {"Cookie": people["ada"]["cookie"]}},
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_who_proves_nothing_is_refused(wrong: str, runner: Runner, people: People) -> None:
    url, options = WRONG[wrong](runner.url, people)
    assert await refusal(url, **options) == ("unauthenticated", 4001)


async def test_an_expired_token_is_refused_and_closes_what_it_opened(
    runner: Runner, people: People
) -> None:
    # It lasts for a second: this client may come before or after its end.
    async with asyncio.timeout(CLOSING_S):
        assert await refusal(runner.url, **bearing(people["late"])) == ("unauthenticated", 4001)
    assert await refusal(runner.url, **bearing(people["late"])) == ("unauthenticated", 4001)


@pytest.mark.parametrize("name", ["carl", "watcher"])
async def test_who_may_not_use_agents_is_refused(name: str, runner: Runner, people: People) -> None:
    assert await refusal(runner.url, **bearing(people[name])) == ("forbidden", 4003)


async def test_a_page_of_another_site_is_refused_token_or_not(
    runner: Runner, people: People
) -> None:
    options = {**bearing(people["ada"]), "origin": "https://evil.example"}
    assert await refusal(runner.url, **options) == ("forbidden", 4003)


async def test_a_revoked_token_closes_what_it_opened_and_nothing_else(
    runner: Runner, people: People, environment: dict[str, str]
) -> None:
    async with (
        await Recorder.open(runner.url, **bearing(people["leaving"])) as leaving,
        await Recorder.open(runner.url, **bearing(people["ada"])) as staying,
    ):
        await leaving.create_session()
        await asyncio.to_thread(accounts.revoke, environment, people["leaving"]["id"])
        async with asyncio.timeout(CLOSING_S):
            await leaving.error("unauthenticated")
            assert await leaving.read_to_close() == 4001
        assert await staying.create_session()


async def test_a_revoked_token_ends_the_streams_that_it_opened(
    runner: Runner, people: People, environment: dict[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {people['reading']['token']}"}
    site = runner.url.replace("ws", "http", 1)
    async with await Recorder.open(runner.url, **bearing(people["ada"])) as client:
        session = await client.create_session()
        async with (
            aiohttp.ClientSession(headers=headers | {"Accept": "text/event-stream"}) as reader,
            reader.get(f"{site}api/v1/sessions/{session}/events") as response,
        ):
            stream = Stream(response)
            await in_time(stream.until("agent.session_created"))
            await asyncio.to_thread(accounts.revoke, environment, people["reading"]["id"])
            # A stream that is merely over says nothing.
            problem = await in_time(stream.until("system.error"))
            assert problem["metadata"]["code"] == "unauthenticated"
            assert await in_time(stream.next()) is None
        assert (await client.ask(session, "10 go on"))["event"] == "agent.final_answer"
