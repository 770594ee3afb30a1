"""Services' own ports as their users meet them: what the commands say while one is not open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.managed_site import PATIENCE_S, ManagedSite, managed_site, until
from tests.ports import free_port
from tests.recording import Recorder
from tests.sites import Site

pytestmark = pytest.mark.processes

ECHO = """
async def agent(text):
    return text
"""
QUICK = {"MYAGENT_RENEW_S": "0.2"}


@pytest.fixture
def site(fresh_database_url: str, tmp_path: Path) -> Iterator[ManagedSite]:
    with managed_site(fresh_database_url, tmp_path, **QUICK) as site:
        yield site


def register(site: ManagedSite, port: int, *options: str) -> None:
    where = ("--host", "127.0.0.1", "--port", str(port))
    site.register("shop", site.write("shop.py", ECHO), *where, *options)


async def opened(url: str) -> Recorder:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await Recorder.open(url)
            except OSError:
                await asyncio.sleep(0.05)


async def test_a_port_in_use_is_said_to_be_until_it_is_free_and_opened(site: ManagedSite) -> None:
    with closing(socket.create_server(("127.0.0.1", free_port()))) as taken:
        port = taken.getsockname()[1]
        register(site, port)
        assert "only 'manage.py serve' opens such ports" in site.services("status", "shop")
        site.serve()
        in_use = f"Port {port} on 127.0.0.1 is in use"
        until(lambda: in_use in site.services("status", "shop"))
        assert in_use in site.services("start", "shop")
    async with await opened(f"ws://127.0.0.1:{port}/") as client:
        end = await client.ask(await client.create_session(), "hi")
        assert end["content"] == "hi"
    until(lambda: in_use not in site.services("status", "shop"))


def test_the_port_of_the_site_is_refused(site: ManagedSite) -> None:
    serving = site.serve()
    port = ManagedSite.url(serving, "").split(":")[2].partition("/")[0]
    file = site.write("shop.py", ECHO)
    said = site.services("register", "shop", str(file), "--port", port, expect=1)
    assert f"A server of the site has port {port} already" in said


async def test_under_another_server_the_status_says_that_own_ports_need_serve(
    site: ManagedSite,
) -> None:
    register(site, free_port())
    with Site(site.database_url, site.folder / "var", server="daphne", env=QUICK) as daphne:
        url = daphne.url.replace("http", "ws")
        async with await Recorder.open(f"{url}/services/shop/"):
            said = "only 'manage.py serve' opens such ports"
            await asyncio.to_thread(until, lambda: said in site.services("status", "shop"))
