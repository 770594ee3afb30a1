"""`manager`, `daemon`, `proxy` and `api` on one SQLite file: each does its part."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.databases import copy_migrated
from tests.managed_site import PATIENCE_S, ManagedSite, Module, managed_site
from tests.recording import TERMINAL, Recorder
from tests.runners import ROOT

pytestmark = pytest.mark.processes

CLI = "myagent.manager.cli"

ECHO = """
async def agent(text):
    return text
"""


class Parts:
    """What people start, one after another, all with `--db-path`."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "my.db"
        copy_migrated(self.file)
        self.agent = folder / "shop.py"
        self.agent.write_text(ECHO)

    def begin(self, site: ManagedSite) -> None:
        self.site = site
        self.manager("register", "shop", str(self.agent))
        self.daemon = self._start("manager", "daemon").wait_for_log("Supervising the services of")
        self.proxy = self._start("proxy", "--port", "0").wait_for_log("The proxy is ready at")
        self.api = self._start("api", "--port", "0").wait_for_log("The site is ready at")

    def manager(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", f"{CLI}.manager", *arguments, "--db-path", str(self.file)],
            cwd=ROOT,
            env=self.site.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _start(self, name: str, *arguments: str) -> Module:
        return Module(self.site, f"{CLI}.{name}", *arguments, "--db-path", str(self.file))

    def start_both(self) -> Module:
        both = self._start("api", "--port", "0", "--proxy-port", "0")
        return both.wait_for_log("The proxy is ready at")

    @property
    def sockets(self) -> str:
        return socket_of(self.proxy)

    @property
    def url(self) -> str:
        return pages_of(self.api)


def socket_of(serving: Module) -> str:
    found = re.search(r"The proxy is ready at (\S+)/services/NAME/", serving.log)
    assert found
    return found[1]


def pages_of(serving: Module) -> str:
    found = re.search(r"The site is ready at (\S+)/", serving.log)
    assert found
    return found[1]


async def get(url: str) -> requests.Response:
    return await asyncio.to_thread(requests.get, url, timeout=PATIENCE_S)


async def post(url: str, **body: str) -> requests.Response:
    return await asyncio.to_thread(requests.post, url, json=body, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    folder = tmp_path_factory.mktemp("parts")
    parts = Parts(folder)
    # What `--db-path` names is used, and not this.
    with managed_site(f"sqlite:///{folder}/another.db", folder, MYAGENT_SUPERVISOR="auto") as site:
        parts.begin(site)
        yield parts


async def test_what_one_registers_another_starts_lists_and_connects(parts: Parts) -> None:
    api = f"{parts.url}/api/v1"
    started = await post(f"{api}/services/shop/start?wait=30")
    assert started.status_code == 200, started.text
    [listed] = (await get(f"{api}/services")).json()["items"]
    assert listed["status"] == "running"
    assert listed["endpoint"] == f"{parts.sockets}/services/shop/" == started.json()["endpoint"]
    async with await Recorder.open(listed["endpoint"]) as client:
        session_id = await client.create_session()
        assert (await client.ask(session_id, "hi"))["content"] == "hi"
        # The proxy owns the conversation: the other server hands the message on to it.
        said = await post(f"{api}/sessions/{session_id}/messages", content="you")
        assert said.status_code == 200, said.text
        end = await client.until(*TERMINAL)
        assert end["content"] == "you"
    assert f"{parts.sockets}/services/shop/" in parts.manager("list")


async def test_what_the_other_side_would_be_says_where_it_is(parts: Parts) -> None:
    http = parts.sockets.replace("ws://", "http://")
    for path in ("/", "/api/v1/services", "/console", "/services/shop/", "/static/css/chat.css"):
        answer = await get(http + path)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
        assert answer.json()["detail"].startswith("This port serves WebSockets alone.")
    assert (await get(f"{http}/health")).status_code == 200
    chat = await get(f"{parts.url}/services/shop/")
    assert chat.status_code == 404
    assert chat.json()["detail"].endswith(f"{parts.sockets}/services/shop/")
    for path in ("/", "/services/shop/", "/ws/chat/me"):
        refused = await Recorder.dial(parts.url.replace("http://", "ws://") + path)
        async with refused:
            assert await refused.read_to_close() == 4004
            assert "This port serves pages and the REST API alone." in str(refused.frames[-1])
    for path in ("/console", "/docs", "/admin/login/", "/"):
        assert (await get(parts.url + path)).status_code == 200


async def test_an_api_with_a_proxy_port_is_a_whole_server_and_a_proxy(parts: Parts) -> None:
    parts.manager("start", "shop")
    both = parts.start_both()
    for address in (socket_of(both), pages_of(both).replace("http://", "ws://")):
        async with await Recorder.open(f"{address}/services/shop/") as client:
            assert (await client.ask(await client.create_session(), "hi"))["content"] == "hi"
    assert (await get(f"{pages_of(both)}/services/shop/")).status_code == 200
    proxied = await get(socket_of(both).replace("ws://", "http://"))
    assert proxied.status_code == 404
    async with await Recorder.open(f"{socket_of(both)}/services/shop/") as client:
        both.process.terminate()
        assert await client.read_to_close() == 4012
    assert both.stop() == 0


class Outcome(Enum):
    """What becomes of a client that comes to a port."""

    IN = auto()
    SENT_AWAY = auto()
    REFUSED = auto()


async def outcome_at(address: str) -> Outcome:
    """`SENT_AWAY`: with the code that says so; `REFUSED`: by the system, nobody listens."""
    try:
        client = await Recorder.dial(f"{address}/services/shop/")
    except ConnectionRefusedError:
        return Outcome.REFUSED
    except (OSError, InvalidHandshake):
        return Outcome.SENT_AWAY  # The port was closed meanwhile.
    async with client:
        try:
            await client.until("system.connected")
        except ConnectionClosed:
            assert client.socket.close_code == 4012
            return Outcome.SENT_AWAY
    return Outcome.IN


@pytest.mark.parametrize("is_proxy_first", [False, True], ids=["pages first", "proxy first"])
async def test_a_server_that_leaves_closes_both_ports_before_it_sends_its_clients_away(
    parts: Parts, is_proxy_first: bool
) -> None:
    both = parts.start_both()
    doors = [pages_of(both).replace("http://", "ws://"), socket_of(both)]
    one, other = reversed(doors) if is_proxy_first else doors
    clients = [await Recorder.open(f"{address}/services/shop/") for address in doors]
    both.process.terminate()
    assert [await client.read_to_close() for client in clients] == [4012, 4012]
    # A client that comes again at once must find the next server, which may listen there already.
    assert [await outcome_at(one), await outcome_at(other)] == [Outcome.REFUSED, Outcome.REFUSED]
    assert both.stop() == 0
