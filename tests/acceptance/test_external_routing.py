"""Services that run elsewhere as candidates of rules: clients that name no service get them.

The clients write down what they see; a plain server of the dialect is at the other end.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests import accounts
from tests.foreign import ForeignService, foreign_service
from tests.locks import nobody_writes
from tests.managed_site import Command, ManagedSite, managed_site, until
from tests.ports import free_port
from tests.recording import NOBODYS, PATIENCE_S, Frame, Recorder, kinds

pytestmark = pytest.mark.processes

SLOW_S = 2.0
POLL_S = 0.02
OUTBOX = 256 * 1024

ECHO = """
async def agent(text):
    yield f"Ours heard {text}."
"""


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedSite]:
    with managed_site(
        database_url,
        tmp_path_factory.mktemp("site"),
        MYAGENT_SLOW_CLIENT_S=str(SLOW_S),
        MYAGENT_OUTBOX_CHARACTERS=str(OUTBOX),
        MYAGENT_SESSIONS_PER_CONNECTION="4",
        MYAGENT_MESSAGES_PER_SECOND="10000",
        MYAGENT_MESSAGE_BURST="10000",
    ) as site:
        yield site


@pytest.fixture(scope="module")
def serving(site: ManagedSite) -> Command:
    serving = site.serve()
    # By their tags, so that every test may begin with either.
    site.register("ours", site.write("ours.py", ECHO), "--tags", "ours", "--auto-start")
    site.until_runs("ours")
    return serving


@pytest.fixture(scope="module")
def other_server(site: ManagedSite, serving: Command) -> Command:
    return site.serve(MYAGENT_SUPERVISOR="external")


@pytest.fixture(scope="module")
def far(
    site: ManagedSite, serving: Command, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ForeignService]:
    with foreign_service("dialect_service", tmp_path_factory.mktemp("far")) as service:
        add(site, "far", service)
        yield service


def add(site: ManagedSite, name: str, service: ForeignService, *options: str) -> None:
    """Registers it, and a rule that sends it the clients that ask for its name."""
    site.services("register", name, "--url", service.url, "--tags", name, *options)
    site.until_status(name, "running")
    condition = f"metadata.client.to equals {name}"
    site.services("routes", "add", name, "--when", condition, "--to", name)


def door_of(site: ManagedSite, serving: Command) -> str:
    return site.url(serving, "").removesuffix("services//")


@pytest.fixture
def door(site: ManagedSite, serving: Command, far: ForeignService) -> Iterator[str]:
    """The address of all services; what a test has added is gone after it."""
    yield door_of(site, serving)
    for (name,) in site.query("SELECT name FROM services_service"):
        if name not in ("ours", "far"):
            site.services("unregister", name)
    for (name,) in site.query("SELECT name FROM services_routingrule"):
        if name != "far":
            site.services("routes", "remove", name)


async def begin(client: Recorder, name: str = "far", **wishes: Any) -> str:
    """A session that a rule sends there, once the server knows of the rule."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await client.send("user.create_session", metadata={"client": {"to": name} | wishes})
            frame = await client.until("agent.session_created", "system.error")
            if frame["event"] == "agent.session_created":
                return str(frame["session_id"])
            assert frame["metadata"]["code"] == "no_service", frame


async def answer_to(client: Recorder, session_id: str, text: str) -> Frame:
    await client.say(session_id, text)
    return await client.until(
        "agent.final_answer", where=lambda frame: frame["session_id"] == session_id
    )


async def lost(client: Recorder, session_id: str) -> Frame:
    """The error that says that the session's service is gone."""
    return await client.until(
        "system.error", where=lambda frame: frame["metadata"].get("session_id") == session_id
    )


async def test_a_plain_server_works_behind_a_rule(door: str) -> None:
    async with await Recorder.open(door) as client:
        session_id = await begin(client)
        frame = await answer_to(client, session_id, "hello")
    assert frame == {
        "event": "agent.final_answer",
        "session_id": session_id,
        "content": "You said hello.",
    }
    greetings = [frame for frame in client.frames if frame["event"] == "system.connected"]
    assert len(greetings) == 1 and greetings[0]["metadata"]["connection_id"] != "its own"
    assert kinds(client.frames)[-2:] == ["agent.partial_answer", "agent.final_answer"]


@pytest.mark.long
async def test_tags_and_a_name_choose_it_as_well(door: str) -> None:
    async with await Recorder.open(door) as client:
        tagged = await client.create_session(tags=["far"])
        named = await client.create_session(service="far", client={"plan": 12345678901234567890123})
        heard = (await answer_to(client, named, "heard"))["content"]
    assert tagged != named
    # Its own name in the site is not its concern; all else arrives as it was sent.
    assert heard[:2] == [
        {"event": "user.create_session", "metadata": {"tags": ["far"]}},
        {"event": "user.create_session", "metadata": {"client": {"plan": 12345678901234567890123}}},
    ]


async def test_sessions_of_one_client_share_a_socket_and_others_have_their_own(door: str) -> None:
    async with await Recorder.open(door) as one, await Recorder.open(door) as other:
        first, second = await begin(one), await begin(one)
        strange = await begin(other)
        await answer_to(one, first, "hello")
        heard = (await answer_to(one, second, "heard"))["content"]
        heard_of_other = (await answer_to(other, strange, "heard"))["content"]
    assert [each["event"] for each in heard] == [
        "user.create_session",
        "user.create_session",
        "user.message",
        "user.message",
    ]
    assert len(heard_of_other) == 2


async def test_one_socket_has_sessions_of_ours_and_of_others(door: str) -> None:
    async with await Recorder.open(door) as client:
        theirs = await begin(client)
        ours = await client.create_session(tags=["ours"])
        answer = await client.ask(ours, "one")
        assert answer["content"] == "Ours heard one." and answer["seq"] > 1
        assert (await answer_to(client, theirs, "two"))["content"] == "You said two."
        await client.send("user.shout", theirs)
        assert (await client.until("agent.heard"))["content"] == "user.shout"
        await client.send("user.shout", ours)
        await client.error("unknown_event")
        await client.say(theirs, "notice")
        await client.until("system.notice")


async def test_a_frame_of_another_s_session_is_not_passed_on(door: str) -> None:
    async with await Recorder.open(door) as victim, await Recorder.open(door) as client:
        ours = await victim.create_session(tags=["ours"])
        theirs = await begin(victim)
        mine = await begin(client)
        for taken in (ours, theirs):
            assert (await answer_to(client, mine, f"usurp {taken}"))["content"] == "usurped"
        # Sessions that are somebody else's are not begun anew either.
        await client.send("user.create_session", metadata={"client": {"to": "far", "as": ours}})
        await client.error("service_unavailable")
        await answer_to(client, mine, "hello")
    assert not [frame for frame in client.frames if frame.get("session_id") in (ours, theirs)]


async def test_frames_that_name_no_session_are_left_out_and_three_in_a_row_end_it(
    door: str,
) -> None:
    async with await Recorder.open(door) as client:
        session_id = await begin(client)
        assert (await answer_to(client, session_id, "nameless 2"))["content"] == "named"
        await client.say(session_id, "nameless 3")
        assert (await lost(client, session_id))["metadata"]["code"] == "service_unavailable"
    assert not [frame for frame in client.frames if frame.get("content") == "whose?"]


async def test_a_client_that_comes_back_gets_to_the_same_service_at_any_server(
    site: ManagedSite, door: str, other_server: Command
) -> None:
    async with await Recorder.open(door) as client:
        session_id = await begin(client)
    for where in (door, door_of(site, other_server)):
        async with await Recorder.open(where) as client:
            await client.say(session_id, "too early")
            assert "user.reconnect" in (await lost(client, session_id))["content"]
            await client.send("user.reconnect", session_id)
            await client.until("agent.session_resumed")
            assert (await answer_to(client, session_id, "hello"))["content"] == "You said hello."
    async with await Recorder.open(door) as client:
        await client.send("user.reconnect", NOBODYS)
        await client.error("unknown_session")


@pytest.mark.long
async def test_a_session_that_was_left_has_to_be_resumed(door: str) -> None:
    async with await Recorder.open(door) as client:
        session_id, other = await begin(client), await begin(client)
        await client.send("user.detach", session_id)
        await client.say(session_id, "too late")
        assert (await lost(client, session_id))["metadata"]["code"] == "service_unavailable"
        # It was told, and what it says of the session is left out.
        heard = (await answer_to(client, other, "heard"))["content"]
        assert "user.detach" in [each["event"] for each in heard]
        await client.send("user.reconnect", session_id)
        await client.until("agent.session_resumed")
    assert "agent.heard" not in kinds(client.frames)


async def test_a_service_killed_in_the_middle_of_an_answer_is_heard_of_and_comes_back(
    site: ManagedSite, door: str, tmp_path: Path
) -> None:
    port = free_port()
    async with await Recorder.open(door) as client:
        ours = await client.create_session(tags=["ours"])
        with foreign_service("dialect_service", tmp_path, port) as service:
            add(site, "mortal", service)
            first, second = await begin(client, "mortal"), await begin(client, "mortal")
            await client.say(first, "half")
            await client.until("agent.partial_answer")
            service.kill()
            for session_id in (first, second):
                assert (await lost(client, session_id))["metadata"]["code"] == "service_unavailable"
        # Its other sessions go on, and these say what to do.
        await client.ask(ours, "still there")
        await client.say(first, "and now?", message_id="m-1")
        refusal = await lost(client, first)
        assert refusal["metadata"]["code"] == "service_unavailable"
        assert refusal["metadata"]["message_id"] == "m-1"
        await client.send("user.reconnect", first)
        assert (await lost(client, first))["metadata"]["code"] == "service_unavailable"
        with foreign_service("dialect_service", tmp_path, port):
            await client.send("user.reconnect", first)
            # The new process has forgotten it, which is its own affair.
            assert (await lost(client, first))["metadata"]["code"] == "unknown_session"
            again = await begin(client, "mortal")
            await answer_to(client, again, "hello")


@pytest.mark.long
async def test_stop_and_unregister_end_what_is_open(
    site: ManagedSite, door: str, tmp_path: Path
) -> None:
    with foreign_service("dialect_service", tmp_path) as service:
        add(site, "leaving", service)
        async with await Recorder.open(door) as client:
            stopped = await begin(client, "leaving")
            site.services("stop", "leaving")
            assert (await lost(client, stopped))["metadata"]["code"] == "service_unavailable"
            await client.send("user.reconnect", stopped)
            assert (await lost(client, stopped))["metadata"]["code"] == "service_unavailable"
            site.services("start", "leaving")
            site.until_status("leaving", "running")
            await client.send("user.reconnect", stopped)
            await client.until("agent.session_resumed")
            site.services("unregister", "leaving")
            assert (await lost(client, stopped))["metadata"]["code"] == "service_unavailable"
            await client.send("user.reconnect", stopped)
            assert (await lost(client, stopped))["metadata"]["code"] == "unknown_session"
            # It may be registered again: its sessions stay their creators'.
            site.services("register", "leaving", "--url", service.url)
            site.until_status("leaving", "running")
            await client.send("user.reconnect", stopped)
            await client.until("agent.session_resumed")


async def test_a_client_that_does_not_read_stops_the_service_from_sending(
    door: str, far: ForeignService
) -> None:
    async with await Recorder.open(door) as client:
        session_id = await begin(client)
    socket = await connect(door, compression=None, max_queue=1, ping_interval=None)
    await socket.send(json.dumps({"event": "user.reconnect", "session_id": session_id}))
    flood = {"event": "user.message", "session_id": session_id, "content": "flood 2000"}
    while json.loads(await socket.recv())["event"] != "agent.session_resumed":
        pass
    await socket.send(json.dumps(flood))
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionClosed):
            # Longer than a slow reader is waited for.
            await asyncio.sleep(SLOW_S * 2)
            while True:
                await socket.recv()
    assert int(far.sent.read_text()) < 1000
    socket.transport.abort()


@pytest.mark.long
async def test_a_flood_reaches_a_client_that_reads_as_it_was_sent(door: str) -> None:
    async with await Recorder.open(door) as client:
        session_id = await begin(client)
        ours = await client.create_session(tags=["ours"])
        await client.say(session_id, "flood 100")
        await client.say(ours, "meanwhile")
        await client.until("agent.final_answer", where=lambda frame: "seq" not in frame)
        if "Ours heard meanwhile." not in [frame.get("content") for frame in client.frames]:
            await client.until("agent.final_answer")
    assert kinds(client.frames).count("agent.partial_answer") >= 100
    assert all(
        len(frame["content"]) == 60_000
        for frame in client.frames
        if frame["event"] == "agent.partial_answer" and frame["session_id"] == session_id
    )


async def test_a_service_that_does_not_read_is_left_and_others_go_on(door: str) -> None:
    async with await Recorder.open(door) as client:
        session_id = await begin(client)
        ours = await client.create_session(tags=["ours"])
        await client.say(session_id, "deaf")

        async def talk() -> None:
            while True:
                await client.say(session_id, "x" * 250_000)

        talking = asyncio.create_task(talk())
        assert (await client.ask(ours, "one"))["content"] == "Ours heard one."
        # While so much waits for the service, it is refused.
        while (await lost(client, session_id))["metadata"]["code"] != "service_unavailable":
            pass
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


async def test_a_connection_holds_so_many_sessions_and_no_more(door: str) -> None:
    async with await Recorder.open(door) as client:
        await client.create_session(tags=["ours"])
        for _ in range(2):
            await begin(client)
        # One that the service never answers counts as well.
        silent = {"to": "far", "is_silent": True}
        await client.send("user.create_session", metadata={"client": silent})
        await client.send("user.create_session", metadata={"client": {"to": "far"}})
        await client.error("too_many_sessions")
        await client.send("user.create_session", metadata={"tags": ["ours"]})
        await client.error("too_many_sessions")


async def test_a_request_that_the_service_does_not_answer_is_refused(
    fresh_database_url: str, far: ForeignService, tmp_path: Path
) -> None:
    with managed_site(fresh_database_url, tmp_path, MYAGENT_EXTERNAL_ANSWER_S="1") as site:
        serving = site.serve()
        add(site, "far", far)
        async with await Recorder.open(door_of(site, serving)) as client:
            await client.send(
                "user.create_session", metadata={"service": "far", "client": {"is_silent": True}}
            )
            await client.error("service_unavailable")
            await begin(client)


@pytest.mark.long
async def test_a_refusal_of_the_service_is_passed_on_and_leaves_its_place(door: str) -> None:
    async with await Recorder.open(door) as client:
        for _ in range(5):
            refused = {"to": "far", "is_refused": True}
            await client.send("user.create_session", metadata={"client": refused})
            await client.until(
                "system.error", where=lambda frame: frame["metadata"]["code"] == "busy"
            )
        await begin(client)


async def test_its_most_sessions_hold_at_all_servers(
    site: ManagedSite, door: str, other_server: Command, tmp_path: Path
) -> None:
    with foreign_service("dialect_service", tmp_path) as service:
        add(site, "small", service, "--max-sessions", "2")
        elsewhere = door_of(site, other_server)
        async with await Recorder.open(elsewhere) as there, await Recorder.open(door) as client:
            await begin(there, "small")
            await begin(client, "small")
            await client.send("user.create_session", metadata={"service": "small"})
            assert (await client.error("service_unavailable"))["metadata"][
                "limit"
            ] == "max_sessions"
            # A rule passes on to another service.
            await client.send("user.create_session", metadata={"client": {"to": "small"}})
            await client.error("service_unavailable")


async def test_a_session_has_its_place_while_it_is_written_down(
    site: ManagedSite, door: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "may_begin"
    os.mkfifo(pipe)
    by_name = {"service": "narrow", "client": {"waits_for": str(pipe)}}
    with foreign_service("dialect_service", tmp_path) as service:
        add(site, "narrow", service, "--max-sessions", "1")
        async with await Recorder.open(door) as first, await Recorder.open(door) as second:
            await first.send("user.create_session", metadata=by_name)
            has_asked = await asyncio.to_thread(pipe.open, "w")
            with nobody_writes(site.database_url):
                has_asked.close()
                for _ in range(20):
                    await second.send("user.create_session", metadata={"service": "narrow"})
                    error = await second.error("service_unavailable")
                    assert error["metadata"]["limit"] == "max_sessions"
                    await asyncio.sleep(POLL_S)
            await first.until("agent.session_created")


async def test_a_client_s_session_counts_for_it_while_it_is_written_down(
    site: ManagedSite, door: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "may_begin"
    os.mkfifo(pipe)
    async with await Recorder.open(door) as client:
        await client.send(
            "user.create_session", metadata={"client": {"to": "far", "waits_for": str(pipe)}}
        )
        for _ in range(3):
            silent = {"to": "far", "is_silent": True}
            await client.send("user.create_session", metadata={"client": silent})
        has_asked = await asyncio.to_thread(pipe.open, "w")
        with nobody_writes(site.database_url):
            has_asked.close()
            for _ in range(20):
                await client.send("user.create_session", metadata={"client": {"to": "far"}})
                await client.error("too_many_sessions")
                await asyncio.sleep(POLL_S)
        await client.until("agent.session_created")


@pytest.mark.long
async def test_the_fewest_clients_count_those_of_external_services(
    site: ManagedSite, door: str
) -> None:
    condition = "metadata.client.to equals least"
    site.services(
        *("routes", "add", "least", "--when", condition, "--to", "ours,far"),
        *("--strategy", "least_connections"),
    )
    async with await Recorder.open(door) as held, await Recorder.open(door) as other:
        await begin(held)
        created = await begin(other, "least")
        ours = await other.ask(created, "one")
        assert ours["content"].startswith("Ours")
        async with await Recorder.open(door) as third, await Recorder.open(door) as fourth:
            await third.create_session(tags=["ours"])
            theirs = await begin(fourth, "least")
            assert (await answer_to(fourth, theirs, "hello"))["content"] == "You said hello."


@pytest.mark.long
async def test_an_unhealthy_one_is_passed_over_unless_it_is_the_last(
    site: ManagedSite, door: str, tmp_path: Path
) -> None:
    with foreign_service("dialect_service", tmp_path) as service:
        add(site, "ill", service)
        site.services(
            *("routes", "add", "either", "--to", "ill,ours"),
            *("--strategy", "manual", "--priority", "200"),
        )
        async with await Recorder.open(door) as client:
            ill = await begin(client, "ill")
            service.kill()
            await lost(client, ill)
            site.until_status("ill", "unhealthy")
            explained = json.loads(site.services("routes", "explain", "--json"))
            assert (explained["rule"], explained["chosen"]) == ("either", "ours")
            wanted = {"service": "ill", "why": "It is unhealthy, and another one is not."}
            assert wanted in explained["rejected"]
            ours = await begin(client, "whoever")
            assert (await client.ask(ours, "one"))["content"] == "Ours heard one."
            # Nobody else can be meant by its own rule: the attempt is made.
            await client.send("user.create_session", metadata={"client": {"to": "ill"}})
            await client.error("service_unavailable")


@pytest.mark.long
async def test_who_names_no_service_is_told_its_name_too(door: str) -> None:
    async with await Recorder.open(door) as client:
        await client.send("user.create_session")
        error = await client.error("no_service")
    assert "far" in error["content"] and "ours" in error["content"]


@pytest.mark.long
async def test_dialects_that_it_does_not_speak_do_not_get_it(site: ManagedSite, door: str) -> None:
    site.services(
        *("routes", "add", "everybody", "--to", "far,ours"),
        *("--strategy", "manual", "--priority", "200"),
    )
    url = f"{door}ws/chat/ann"
    async with asyncio.timeout(PATIENCE_S):
        answers: list[str] = []
        while "Ours heard hello." not in answers:
            async with await connect(url) as socket:
                await socket.send(json.dumps({"query": "hello"}))
                while (frame := json.loads(await socket.recv()))["type"] != "error":
                    answers.append(frame.get("content", ""))
                    if frame.get("status") == "completed":
                        break
    async with await connect(f"{url}?service=far") as socket:
        refusal = json.loads(await socket.recv())
    assert refusal["type"] == "error" and "events dialect" in refusal["content"]


async def test_a_site_does_not_route_to_itself(site: ManagedSite, door: str) -> None:
    site.services("register", "ring", "--url", "ws://far.example/", "--tags", "ring")
    # As by another name of the machine.
    site.execute(
        f"UPDATE services_service SET url = '{door}', revision = revision + 1 WHERE name = 'ring'"
    )
    site.until_status("ring", "running")
    condition = "metadata.client.to equals ring"
    site.services("routes", "add", "ring", "--when", condition, "--to", "ring")
    code = ""
    async with asyncio.timeout(PATIENCE_S), await Recorder.open(door) as client:
        # Until the server has heard of the rule and of the new address.
        while code != "service_unavailable":
            await client.send("user.create_session", metadata={"client": {"to": "ring"}})
            code = (await client.until("system.error"))["metadata"]["code"]
    # What the site asked itself for was a session of its own, which this client did not begin.
    assert "agent.session_created" not in kinds(client.frames)


async def test_a_session_is_its_creators_alone(
    far: ForeignService, fresh_database_url: str, tmp_path: Path
) -> None:
    with managed_site(fresh_database_url, tmp_path, MYAGENT_AUTH="token") as site:
        serving = site.serve()
        add(site, "far", far)
        environment = site.environment | {"DJANGO_SETTINGS_MODULE": "myagent_site.settings"}
        made = accounts.make(environment, ada={}, bob={})

        async def come(name: str, where: str) -> Recorder:
            header = {"Authorization": f"Bearer {made[name]['token']}"}
            return await Recorder.open(where, additional_headers=header)

        door, own = door_of(site, serving), site.url(serving, "far")
        async with await come("ada", door) as ada, await come("ada", own) as also:
            behind_a_rule = await begin(ada)
            passed_through = await also.create_session()
            for where in (door, own):
                async with await come("bob", where) as bob:
                    for strange in (behind_a_rule.upper(), f" {passed_through}", "premade"):
                        await bob.send("user.reconnect", strange)
                        await bob.error("unknown_session")
                    for session_id in (behind_a_rule, passed_through):
                        await bob.send("user.reconnect", session_id)
                        await bob.error("forbidden")
                        await bob.say(session_id, "hello")
                        await bob.error("forbidden")
                        if where == door:
                            wish = {"to": "far", "as": session_id}
                            await bob.send("user.create_session", metadata={"client": wish})
                            await bob.error("service_unavailable")
                assert not [each for each in bob.frames if each.get("session_id")]
        for where in (door, own):
            async with await come("ada", where) as ada:
                for session_id in (behind_a_rule, passed_through):
                    await ada.send("user.reconnect", session_id)
                    await ada.until("agent.session_resumed")
                    await answer_to(ada, session_id, "hello")


async def test_no_second_name_of_a_session_reaches_the_service(
    site: ManagedSite, serving: Command, door: str
) -> None:
    for where in (door, site.url(serving, "far")):
        async with await Recorder.open(where) as client:
            mine = await begin(client)
            names = f'"Session_ID":"hers","session_id":"hers","session_id":"{mine}"'
            await client.socket.send(f'{{"event":"user.message",{names},"content":"heard"}}')
            heard = (await client.until("agent.final_answer"))["content"]
        assert [each.get("session_id") for each in heard[-1:]] == [mine]
        assert "Session_ID" not in heard[-1]


async def test_a_session_is_named_by_a_text(site: ManagedSite, serving: Command, door: str) -> None:
    for where in (door, site.url(serving, "far")):
        async with await Recorder.open(where) as client:
            for name in ([1], {"a": 1}, 5, True):
                await client.send("user.reconnect", name)  # type: ignore[arg-type]
                await client.error("invalid_event")


async def test_sessions_that_the_service_has_forgotten_take_no_place(
    site: ManagedSite, serving: Command, door: str
) -> None:
    async with await Recorder.open(site.url(serving, "far")) as client:
        # More than a connection may have.
        for number in range(6):
            await client.send("user.reconnect", f"forgotten {number}")
            assert (await lost(client, f"forgotten {number}"))["metadata"]["code"] == (
                "unknown_session"
            )
        await client.send("user.reconnect", "x" * 1000)
        await client.error("unknown_session")


@pytest.mark.long
async def test_what_is_used_is_not_forgotten(
    site: ManagedSite, serving: Command, door: str
) -> None:
    async with await Recorder.open(door) as client:
        session_id = await begin(client)
    site.execute("UPDATE agents_externalsession SET used_at = '2020-01-01 00:00:00'")
    async with await Recorder.open(site.url(serving, "far")) as client:
        await client.send("user.reconnect", session_id)
        await client.until("agent.session_resumed")
    site.manage("sessions", "prune", "--older-than", "1d")
    async with await Recorder.open(door) as client:
        await client.send("user.reconnect", session_id)
        await client.until("agent.session_resumed")


async def test_what_nobody_has_used_for_long_is_forgotten_with_the_other_conversations(
    site: ManagedSite, door: str
) -> None:
    async with await Recorder.open(door) as client:
        session_id = await begin(client)
    assert "0" in site.manage("sessions", "prune", "--older-than", "1d")
    assert site.query("SELECT 1 FROM agents_externalsession")
    until(lambda: site.manage("sessions", "prune", "--older-than", "0s"))
    assert not site.query("SELECT 1 FROM agents_externalsession")
    async with await Recorder.open(door) as client:
        await client.send("user.reconnect", session_id)
        await client.error("unknown_session")
