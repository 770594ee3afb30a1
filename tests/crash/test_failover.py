"""The database's address moves to a copy that is promoted: turns go on, and nothing is lost.

Replication is semi-synchronous here. An asynchronous copy may lack the last commits by its nature.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.crash.conftest import Site
from tests.crash.talkers import TURNS, Talker, assert_nothing_was_lost, until_refused
from tests.crash.witness import Witness, until
from tests.cutting_proxy import CuttingProxy
from tests.fake_model import FakeModel
from tests.mysql_server import database_server
from tests.replicas import SITE_USER, Replicas, make_site, replicas, rows, statements
from tests.runners import Runner

TALKERS = 4


@pytest.fixture
def servers() -> Iterator[Replicas]:
    if not database_server().is_installed():
        pytest.skip("MariaDB is not installed")
    with replicas() as pair:
        yield pair


@pytest.fixture
async def address(servers: Replicas) -> AsyncIterator[CuttingProxy]:
    """What the site knows the database by."""
    async with CuttingProxy(servers.primary.port) as proxy:
        yield proxy


@pytest.fixture
async def runner(
    servers: Replicas,
    address: CuttingProxy,
    tmp_path: Path,
    fake_model: FakeModel,
    runners: ExitStack,
) -> Runner:
    own = make_site(servers.primary.port)
    url = own.replace(f":{servers.primary.port}/", f":{address.port}/")
    return await Site(url, tmp_path, fake_model, runners).start()


async def talk_through(runner: Runner, servers: Replicas, move: Callable[[], object]) -> None:
    """Clients talk all the time, while `move` changes who has the site, and until the copy has."""
    talkers = [Talker(await Witness.arrive(runner.url), f"t{i}") for i in range(TALKERS)]
    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        for talker in talkers:
            tasks.create_task(talker.talk(TURNS))
        await asyncio.gather(*(talker.is_warm.wait() for talker in talkers))
        await asyncio.to_thread(move)
        # The address points at a server that takes no writes, and clients are told.
        await until_refused(runner.url)
        await asyncio.to_thread(servers.promote)
    assert_nothing_was_lost(servers.copy.url("site"), talkers)
    for talker in talkers:
        await talker.witness.leave()


async def test_turns_go_on_after_the_primary_died_and_its_copy_was_promoted(
    servers: Replicas, address: CuttingProxy, runner: Runner
) -> None:
    def move() -> None:
        servers.primary.kill()
        address.target_port = servers.copy.port

    await talk_through(runner, servers, move)


async def test_a_primary_that_lives_on_read_only_does_not_keep_the_connections(
    servers: Replicas, address: CuttingProxy, runner: Runner
) -> None:
    """A planned change: nobody ends the connections that are open."""

    def move() -> None:
        address.target_port = servers.copy.port
        statements(servers.primary.port, "SET GLOBAL read_only=ON")

    await talk_through(runner, servers, move)
    left = f"SELECT id FROM information_schema.processlist WHERE user = '{SITE_USER}'"
    await until(lambda: not rows(servers.primary.port, left))
