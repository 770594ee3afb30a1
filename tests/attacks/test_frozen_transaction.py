"""A server that is frozen within a transaction does not delay others for long."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.crash.conftest import Site, fake_model, runners, site
from tests.crash.witness import PATIENCE_S, Witness, assert_promises, until, until_logged_ends
from tests.servers import MariaDB, execute_sql

__all__ = ["fake_model", "runners", "site"]

LEASE = {"MYAGENT_LEASE_S": "3", "MYAGENT_RENEW_S": "0.3", "MYAGENT_ADOPT_S": "0.2"}
TURNS = 20


@pytest.fixture
def fresh_database_url(mariadb: MariaDB) -> str:
    """A database server: SQLite has a single lock, so a frozen process is only named there."""
    if mariadb.label != MariaDB.label:
        pytest.skip("MySQL has no limit for a transaction that nobody goes on with")
    execute_sql(mariadb.port, "CREATE DATABASE frozen CHARACTER SET utf8mb4")
    return mariadb.url("frozen")


async def test_others_have_their_turns_and_its_sessions_go_on_elsewhere(site: Site) -> None:
    frozen, reached = await site.start_with_barrier("within", "agent.final_answer", **LEASE)
    witness = await Witness.arrive(frozen.url)
    await witness.say("hello")
    await until(reached.exists)
    frozen.signal(signal.SIGSTOP)
    heir = await site.start(**LEASE)
    other = await Witness.arrive(heir.url)
    # The judge: another client's turns, while the frozen process holds its rows and afterwards.
    async with asyncio.timeout(PATIENCE_S):
        for turn in range(TURNS):
            await other.say(f"turn {turn}")
            await other.until_ended(turn + 1)
    await until_logged_ends(site.database_url, witness.session_id, 1)
    frozen.signal(signal.SIGCONT)
    # Its client is told all the same: it follows the session that is the heir's now.
    await witness.until_ended(1)
    assert_promises(site.database_url, witness.session_id, witness)
    assert_promises(site.database_url, other.session_id, other)
    await witness.leave()
    await other.leave()
