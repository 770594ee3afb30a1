"""Services that run elsewhere, behind the site: a plain server, and clients that can't tell."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests import accounts
from tests.acceptance.rest_client import RestClient
from tests.foreign import ForeignService, foreign_service
from tests.managed_site import Command, ManagedSite, managed_site
from tests.ports import free_port
from tests.recording import PATIENCE_S, Recorder
from tests.trace_client import watcher

SLOW_S = 2.0
OUTBOX = 256 * 1024


def plain_service(folder: Path, port: int = 0) -> AbstractContextManager[ForeignService]:
    return foreign_service("plain_service", folder, port)


@pytest.fixture(scope="module")
def site(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedSite]:
    with managed_site(
        database_url,
        tmp_path_factory.mktemp("site"),
        MYAGENT_SLOW_CLIENT_S=str(SLOW_S),
        MYAGENT_OUTBOX_CHARACTERS=str(OUTBOX),
    ) as site:
        yield site


@pytest.fixture(scope="module")
def serving(site: ManagedSite) -> Command:
    return site.serve()


@pytest.fixture(scope="module")
def far(
    site: ManagedSite, serving: Command, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ForeignService]:
    with plain_service(tmp_path_factory.mktemp("far")) as service:
        site.services("register", "far", "--url", service.url)
        site.until_status("far", "running")
        yield service


@pytest.fixture
def url(site: ManagedSite, serving: Command, far: ForeignService) -> str:
    return site.url(serving, "far")


async def ended(client: Recorder) -> tuple[int | None, list[str]]:
    """The close code, and the codes of the errors before it."""
    with suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                client.frames.append(json.loads(await client.socket.recv()))
    errors = [one["metadata"]["code"] for one in client.frames if one["event"] == "system.error"]
    return client.socket.close_code, errors


GONE = (4013, ["service_unavailable"])


async def test_a_plain_server_works_behind_the_site(url: str) -> None:
    async with await Recorder.dial(url) as client:
        await client.send("user.create_session")
        await client.say("s1", "hello")
        await client.until("agent.final_answer")
    kinds = [frame["event"] for frame in client.frames]
    assert kinds == [
        "system.connected",
        "agent.session_created",
        "agent.partial_answer",
        "agent.final_answer",
    ]
    assert client.frames[0]["metadata"]["connection_id"] != "its own"
    assert client.frames[-1] == {"event": "agent.final_answer", "content": "You said hello."}


@pytest.mark.long
async def test_the_query_parameter_chooses_it_as_well(url: str) -> None:
    root = url.replace("services/far/", "?service=far&lang=zh-CN")
    async with await Recorder.open(root) as client:
        await client.say("s1", "hello")
        await client.until("agent.final_answer")


async def test_it_gets_nothing_that_a_client_proved_itself_with(url: str) -> None:
    secrets = {"Authorization": "Bearer hidden", "Cookie": "sessionid=hidden"}
    async with await Recorder.open(f"{url}?token=hidden", additional_headers=secrets) as client:
        await client.say("s1", "headers")
        answer = await client.until("agent.final_answer")
    assert "hidden" not in json.dumps(answer)
    assert "authorization" not in {name.lower() for name in answer["content"]}


async def test_a_frame_that_is_no_object_is_not_passed_on(url: str) -> None:
    async with await Recorder.open(url) as client:
        await client.send_raw("no json")
        error = await client.until("system.error")
        assert error["metadata"]["code"] == "invalid_json"
        await client.say("s1", "hello")
        await client.until("agent.final_answer")


@pytest.mark.long
async def test_some_garbage_of_the_service_is_left_out(url: str) -> None:
    async with await Recorder.open(url) as client:
        await client.say("s1", "garbage 2")
        assert (await client.until("agent.final_answer"))["content"] == "after the garbage"
    assert len(client.frames) == 2


@pytest.mark.parametrize("misdeed", ["garbage 3", "oversized", "close 1011"])
async def test_a_service_that_misbehaves_is_left(url: str, misdeed: str) -> None:
    async with await Recorder.open(url) as client:
        await client.say("s1", misdeed)
        assert await ended(client) == GONE


@pytest.mark.parametrize("code", [1000, 4001, 4012])
async def test_the_client_sees_how_the_service_closed(url: str, code: int) -> None:
    async with await Recorder.open(url) as client:
        await client.say("s1", f"close {code}")
        assert await ended(client) == (code, [])
    assert client.frames[-1]["content"] == "goodbye"


async def test_a_service_that_does_not_read_is_left(url: str) -> None:
    async def talk(socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await socket.send(json.dumps({"event": "user.message", "content": "x" * 100_000}))

    async with await Recorder.open(url) as client:
        await client.say("s1", "deaf")
        talking = asyncio.create_task(talk(client.socket))
        assert await ended(client) == GONE
        await talking


async def test_a_client_that_does_not_read_stops_the_service_from_sending(
    url: str, far: ForeignService
) -> None:
    socket = await connect(url, compression=None, max_queue=1, ping_interval=None)
    await socket.recv()
    await socket.send(json.dumps({"event": "user.message", "content": "flood 2000"}))
    async with asyncio.timeout(PATIENCE_S):
        # The site closes it as it does any slow reader: the flood ends with the socket.
        with suppress(ConnectionClosed):
            await asyncio.sleep(SLOW_S * 2)
            while True:
                await socket.recv()
    assert int(far.sent.read_text()) < 1000
    socket.transport.abort()


async def test_a_killed_service_ends_its_clients_and_takes_new_ones_once_it_is_back(
    site: ManagedSite, serving: Command, tmp_path: Path
) -> None:
    port = free_port()
    with plain_service(tmp_path, port) as service:
        site.services("register", "mortal", "--url", service.url)
        url = site.url(serving, "mortal")
        async with await Recorder.open(url) as client:
            service.process.send_signal(signal.SIGKILL)
            assert await ended(client) == GONE
            assert "The connection to the service was lost" in client.frames[-1]["content"]
    async with await Recorder.dial(url) as client:
        assert await ended(client) == GONE
        assert "The service can't be reached" in client.frames[-1]["content"]
    site.until_status("mortal", "unhealthy")
    with plain_service(tmp_path, port):
        site.until_status("mortal", "running")
        async with await Recorder.open(url) as client:
            await client.say("s1", "hello")
            await client.until("agent.final_answer")


async def test_over_rest_there_are_no_conversations_with_it(
    site: ManagedSite, serving: Command, url: str
) -> None:
    async with RestClient(url.replace("ws", "http", 1).removesuffix("/services/far/")) as client:
        status, refusal = await client.ask("POST", "sessions", {"service": "far"})
    assert (status, refusal["code"]) == (404, "no_service"), refusal
    assert "events dialect" in refusal["detail"]


@pytest.mark.long
async def test_the_chat_dialect_is_said_not_to_be_spoken(url: str) -> None:
    client = await Recorder.dial(url.replace("services/far/", "services/far/ws/chat/ann"))
    async with client:
        frame = json.loads(await client.socket.recv())
        assert frame["type"] == "error" and "events dialect" in frame["content"]
        with pytest.raises(ConnectionClosed):
            await client.socket.recv()
    assert client.socket.close_code == 4004


@pytest.mark.long
async def test_nor_is_the_trace_dialect(url: str) -> None:
    async with watcher(url.replace("services/far/", "services/far/ws/ann")) as client:
        assert await client.read_to_close() == 4004
    (error,) = client.frames
    assert error["event_type"] == "run_error"
    assert "events dialect" in error["data"]["error"]


async def test_a_site_does_not_forward_to_itself(
    site: ManagedSite, serving: Command, url: str
) -> None:
    refusal = site.services("register", "snake", "--url", url, expect=1)
    assert "this site itself" in refusal
    site.services("register", "snake", "--url", "ws://far.example/")
    # As by another name of the machine.
    site.execute(
        f"UPDATE services_service SET url = '{url.replace('/far/', '/snake/')}', "
        "revision = revision + 1 WHERE name = 'snake'"
    )
    site.until_status("snake", "running")
    kinds: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        # Until the server has heard of the new address.
        while kinds[:1] != ["system.connected"]:
            async with await Recorder.dial(site.url(serving, "snake")) as client:
                assert await ended(client) == GONE
            kinds = [frame["event"] for frame in client.frames]
    # The site refused what it had passed on to itself, and nobody went round and round.
    assert kinds == ["system.connected", "system.error"]
    site.services("unregister", "snake")


async def test_a_stopped_one_has_no_clients_until_it_is_started(
    site: ManagedSite, url: str
) -> None:
    async with await Recorder.open(url) as client:
        site.services("stop", "far")
        assert await ended(client) == GONE
    assert site.service("far")["status"] == "stopped"
    async with await Recorder.dial(url) as client:
        assert await ended(client) == GONE
    site.services("start", "far")
    site.until_status("far", "running")
    async with await Recorder.open(url) as client:
        await client.say("s1", "hello")
        await client.until("agent.final_answer")


async def test_a_revoked_token_closes_its_sockets_to_an_external_service(
    far: ForeignService, fresh_database_url: str, tmp_path: Path
) -> None:
    with managed_site(fresh_database_url, tmp_path, MYAGENT_AUTH="token") as site:
        serving = site.serve()
        site.services("register", "guarded", "--url", far.url)
        site.until_status("guarded", "running")
        environment = site.environment | {"DJANGO_SETTINGS_MODULE": "myagent_site.settings"}
        ada = accounts.make(environment, ada={})["ada"]
        header = {"Authorization": f"Bearer {ada['token']}"}
        url = site.url(serving, "guarded")
        async with await Recorder.open(url, additional_headers=header) as client:
            await client.say(await client.create_session(), "hello")
            await client.until("agent.final_answer")
            await asyncio.to_thread(accounts.revoke, environment, ada["id"])
            assert await ended(client) == (4001, ["unauthenticated"])
        async with await Recorder.dial(url, additional_headers=header) as client:
            assert await ended(client) == (4001, ["unauthenticated"])
