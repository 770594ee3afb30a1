"""Two servers with clients at both: whatever dies, every client sees every event once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.crash.conftest import Site
from tests.crash.residents import Resident
from tests.crash.witness import assert_promises, assert_valid_contexts, read_log
from tests.runners import Runner
from tests.servers import MariaDB, PrivateServer, Redis

SHORT = {
    "MYAGENT_LEASE_S": "3",
    "MYAGENT_RENEW_S": "0.3",
    "MYAGENT_ADOPT_S": "0.2",
    "MYAGENT_CONNECTIONS_PER_ADDRESS": "0",
}
PATIENCE_S = 240.0
TURNS_BETWEEN = 1
"""Turns that each client takes, at least, before something dies, and after it is back."""


class Pair:
    """Two servers, and their residents: each session has one at either."""

    def __init__(self, site: Site, servers: Sequence[Runner], **environment: str) -> None:
        self.site = site
        self.servers = list(servers)
        self.residents: list[Resident] = []
        self._environment = environment

    @classmethod
    async def start(cls, site: Site, **environment: str) -> Pair:
        environment = SHORT | environment
        return cls(site, [await site.start(**environment) for _ in range(2)], **environment)

    async def settle(self, sessions: int) -> None:
        """Each server begins every second session."""
        urls = [server.url for server in self.servers]
        for number in range(sessions):
            here, there = urls if number % 2 else urls[::-1]
            first = await Resident.begin(f"{number}a", [here, there])
            second = await Resident.join(f"{number}b", [there, here], first.witness.session_id)
            self.residents += [first, second]

    async def go_on(self) -> None:
        """All residents take some more turns."""
        goals = [resident.turns + TURNS_BETWEEN for resident in self.residents]
        waits = [
            resident.until_turns(goal) for resident, goal in zip(self.residents, goals, strict=True)
        ]
        await asyncio.gather(*waits)

    async def lose_a_server(self) -> None:
        lost = self.servers[0]
        await asyncio.to_thread(lost.kill)
        await self.go_on()
        self.servers[0] = await self.site.start(port=lost.port, **self._environment)
        for resident in self.residents:
            resident.go_home()

    async def lose(self, server: PrivateServer) -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.restart)

    async def assert_all_is_well(self) -> None:
        """By what clients saw, by the log, and by what the model was asked."""
        for resident in self.residents:
            session_id = resident.witness.session_id
            log = read_log(self.site.database_url, session_id)
            await resident.see_all(log[-1]["seq"])
            assert_promises(self.site.database_url, session_id, resident.witness)
            await resident.witness.leave()
        assert_valid_contexts(self.site.fake.requests)
        assert_each_message_once(self)


def assert_each_message_once(pair: Pair) -> None:
    said = [f"{each.name}-{turn}" for each in pair.residents for turn in range(each.turns)]
    accepted = [
        entry["metadata"]["message_id"]
        for session_id in {each.witness.session_id for each in pair.residents}
        for entry in read_log(pair.site.database_url, session_id)
        if entry["event"] == "user.message"
    ]
    assert sorted(accepted) == sorted(said)


async def live_through(pair: Pair, *lost: PrivateServer) -> None:
    """All talk while a server of the site dies, and then each of these."""
    dice, is_over = random.Random(7), asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for resident in pair.residents:
            tasks.create_task(resident.live(random.Random(dice.random()), is_over))
        await pair.go_on()
        await pair.lose_a_server()
        await pair.go_on()
        for server in lost:
            await pair.lose(server)
            await pair.go_on()
        is_over.set()
    await pair.assert_all_is_well()
    effects = Counter((pair.site.folder / "charge").read_text().split())
    assert set(effects.values()) == {1}


@pytest.mark.long
@pytest.mark.parametrize("sessions", [3, 50])
async def test_clients_at_both_servers_see_all_once_though_everything_dies_in_turn(
    mariadb_site: Site, own_mariadb: MariaDB, own_redis: Redis, sessions: int
) -> None:
    pair = await Pair.start(mariadb_site, REDIS_URL=own_redis.url)
    await pair.settle(sessions)
    await live_through(pair, own_redis, own_mariadb)


@pytest.mark.long
async def test_without_redis_they_do_as_well(mariadb_site: Site, own_mariadb: MariaDB) -> None:
    pair = await Pair.start(mariadb_site)
    await pair.settle(50)
    await live_through(pair, own_mariadb)


@pytest.mark.both_databases
@pytest.mark.parametrize("clients", [20, pytest.param(1000, marks=pytest.mark.long)])
async def test_every_turn_of_a_killed_server_ends_at_the_other(site: Site, clients: int) -> None:
    pair = await Pair.start(site)
    lost, other = pair.servers
    for number in range(clients):
        pair.residents.append(await Resident.begin(f"{number}", [lost.url, other.url]))
    fake, hold = site.fake, "hello [[hold model]]"
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for resident in pair.residents:
            tasks.create_task(resident.take_turn(hold))
        await fake.wait_held("model", clients)
        await asyncio.to_thread(lost.kill)
        fake.release("model")
    await pair.assert_all_is_well()
