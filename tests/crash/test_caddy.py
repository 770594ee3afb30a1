"""Caddy between clients and servers, where it is installed: every client sees all once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.caddy import Caddy, is_recent
from tests.crash.conftest import Site
from tests.crash.residents import Resident
from tests.crash.test_two_servers import PATIENCE_S, Pair

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not is_recent(), reason="Caddy 2.7 or later is not installed"),
]

CLIENTS = 100
BEHIND = {"MYAGENT_TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture
def caddy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Caddy]:
    """Passes to nobody yet; clients of this process trust it."""
    with Caddy() as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
        yield running


@asynccontextmanager
async def living(site: Site, caddy: Caddy) -> AsyncIterator[Pair]:
    """Two servers behind it, and clients that take turns meanwhile."""
    pair = await Pair.start(site, **BEHIND)
    caddy.pass_to([server.port for server in pair.servers])
    await asyncio.to_thread(caddy.restart)
    for number in range(CLIENTS):
        pair.residents.append(await Resident.begin(f"{number}", [caddy.socket_url]))
    dice, is_over = random.Random(7), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for resident in pair.residents:
            life = resident.live(random.Random(dice.random()), is_over, thinks_s=0.5)
            tasks.create_task(life)
        await pair.go_on()
        yield pair
        is_over.set()
    await pair.assert_all_is_well()


def sockets(pair: Pair) -> set[int]:
    return {id(resident.witness.recorder.socket) for resident in pair.residents}


async def test_all_see_all_once_though_caddy_and_a_server_die(site: Site, caddy: Caddy) -> None:
    async with living(site, caddy) as pair:
        await asyncio.to_thread(caddy.kill)
        await asyncio.to_thread(caddy.start)
        await pair.go_on()
        await pair.lose_a_server()
        await pair.go_on()


async def test_a_reload_closes_no_socket(site: Site, caddy: Caddy) -> None:
    async with living(site, caddy) as pair:
        before = sockets(pair)
        caddy.pass_to([pair.servers[1].port])
        await asyncio.to_thread(caddy.reload)
        await pair.go_on()
        assert sockets(pair) == before
