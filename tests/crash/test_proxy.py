"""nginx between clients and servers: whatever becomes of it, every client sees all once."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.crash.conftest import Site
from tests.crash.residents import Resident
from tests.crash.test_two_servers import PATIENCE_S, SHORT, Pair
from tests.nginx import Nginx

CLIENTS = 200
BEHIND = {"MYAGENT_TRUSTED_PROXIES": "127.0.0.1"}


async def behind(nginx: Nginx, pair: Pair, clients: int, *, balancing: str) -> None:
    """The pair's clients come through nginx."""
    nginx.pass_to([server.port for server in pair.servers], balancing=balancing)
    await asyncio.to_thread(nginx.restart)
    for number in range(clients):
        pair.residents.append(await Resident.begin(f"{number}", [nginx.socket_url]))


def sockets(pair: Pair) -> set[int]:
    return {id(resident.witness.recorder.socket) for resident in pair.residents}


@pytest.mark.parametrize(
    "balancing",
    ["hash $remote_port consistent;", pytest.param("least_conn;", marks=pytest.mark.long)],
)
async def test_all_see_all_once_though_nginx_and_a_server_die(
    site: Site, nginx: Nginx, balancing: str
) -> None:
    pair = await Pair.start(site, **BEHIND)
    await behind(nginx, pair, CLIENTS, balancing=balancing)
    dice, is_over = random.Random(7), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for resident in pair.residents:
            tasks.create_task(resident.live(random.Random(dice.random()), is_over))
        await pair.go_on()
        await asyncio.to_thread(nginx.kill)
        await asyncio.to_thread(nginx.start)
        await pair.go_on()
        await pair.lose_a_server()
        await pair.go_on()
        is_over.set()
    await pair.assert_all_is_well()


async def test_a_reload_closes_no_socket_and_new_clients_come_to_the_new_servers(
    site: Site, nginx: Nginx
) -> None:
    pair = await Pair.start(site, **BEHIND)
    await behind(nginx, pair, CLIENTS, balancing="least_conn;")
    before, is_over = sockets(pair), asyncio.Event()
    dice = random.Random(8)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for resident in pair.residents:
            tasks.create_task(resident.live(random.Random(dice.random()), is_over))
        await pair.go_on()
        nginx.pass_to([pair.servers[1].port])
        await asyncio.to_thread(nginx.reload)
        await pair.go_on()
        assert sockets(pair) == before
        is_over.set()
    await pair.assert_all_is_well()


@pytest.mark.long
async def test_clients_come_back_when_a_reload_ends_the_time_of_their_sockets(
    site: Site, nginx: Nginx
) -> None:
    pair = Pair(site, [await site.start(**SHORT, **BEHIND)])
    nginx.changes["worker_shutdown_timeout 10m;"] = "worker_shutdown_timeout 1s;"
    await behind(nginx, pair, CLIENTS, balancing="least_conn;")
    before, is_over = sockets(pair), asyncio.Event()
    dice = random.Random(9)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for resident in pair.residents:
            tasks.create_task(resident.live(random.Random(dice.random()), is_over))
        await pair.go_on()
        await asyncio.to_thread(nginx.reload)
        while sockets(pair) & before:
            await pair.go_on()
        is_over.set()
    await pair.assert_all_is_well()
