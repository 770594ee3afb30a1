"""An outage ends the leases of those first whose renewal was due, and no one else profits by it."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.crash.conftest import Site
from tests.crash.witness import Witness, assert_promises
from tests.runners import Runner
from tests.servers import MariaDB

LEASE_S, RENEW_S, ADOPT_S = 15.0, 5.0, 2.0
AS_SHIPPED = {
    "MYAGENT_LEASE_S": f"{LEASE_S:g}",
    "MYAGENT_RENEW_S": f"{RENEW_S:g}",
    "MYAGENT_ADOPT_S": f"{ADOPT_S:g}",
}
APART_S = 2.0
"""Between the renewals of two servers, at least: the outage has to end within that time."""
NEARLY_S = 0.5
"""So close to a whole interval they may renew at the same time after all."""
BACK_S = 0.3
"""How long after the end of the first lease the database is started again."""
TRIES = 6

LEFT = (
    "SELECT id, TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), lease_until) / 1e6 FROM agents_server"
)


def seconds_left(site: Site) -> dict[str, float]:
    """Of the leases, by server."""
    rows = site.query(f"{LEFT} WHERE ended_at IS NULL")
    return {server_id: float(left) for server_id, left in rows}


async def start_apart(site: Site) -> list[Runner]:
    """Two servers that do not renew at the same time."""
    first = await site.start(**AS_SHIPPED)
    for _ in range(TRIES):
        second = await site.start(**AS_SHIPPED)
        one, other = seconds_left(site).values()
        if APART_S < abs(one - other) % RENEW_S < RENEW_S - NEARLY_S:
            return [first, second]
        await asyncio.to_thread(second.stop)
    raise AssertionError("All servers renewed their leases at about the same time.")


async def until_just_renewed(site: Site) -> dict[str, float]:
    """Waits until one lease has just begun and the other is as old as it can be."""
    async with asyncio.timeout(4 * RENEW_S):
        while True:
            left = seconds_left(site)
            is_new = max(left.values()) > LEASE_S - 0.2
            oldest = min(left.values())
            if is_new and LEASE_S - RENEW_S + NEARLY_S < oldest < LEASE_S - APART_S:
                return left
            await asyncio.sleep(0.02)


async def lose(database: MariaDB, left: dict[str, float]) -> None:
    """Has it away until the first lease is over."""
    back_at = time.monotonic() + min(left.values()) + BACK_S
    await asyncio.to_thread(database.kill)
    await asyncio.sleep(back_at - time.monotonic())
    await asyncio.to_thread(database.restart)


@pytest.mark.long
async def test_a_server_whose_lease_outlasts_an_outage_takes_nothing_from_one_that_lives(
    own_mariadb: MariaDB, mariadb_site: Site
) -> None:
    runners = await start_apart(mariadb_site)
    witnesses = [await Witness.arrive(runner.url) for runner in runners]
    for witness in witnesses:
        await witness.say('go [[tool transfer {"text": "a"}]]')
        await witness.recorder.until("agent.user_confirm")
    before = mariadb_site.query("SELECT id, owner_id, epoch FROM agents_session ORDER BY id")
    for _ in range(TRIES):
        seen = [len(runner.log) for runner in runners]
        await lose(own_mariadb, await until_just_renewed(mariadb_site))
        # Those that live have renewed by then, and looked for what others have left.
        await asyncio.sleep(RENEW_S + LEASE_S + 2 * ADOPT_S)
        lapsed = [
            runner
            for runner, before_it in zip(runners, seen, strict=True)
            if any("lease_had_lapsed" in line for line in runner.log[before_it:])
        ]
        if len(lapsed) == 1:
            break
    else:
        raise AssertionError("The database never came back between the ends of the leases.")
    assert len(seconds_left(mariadb_site)) == 2
    assert (
        mariadb_site.query("SELECT id, owner_id, epoch FROM agents_session ORDER BY id") == before
    )
    for witness in witnesses:
        question = next(f for f in witness.recorder.frames if f["event"] == "agent.user_confirm")
        await witness.recorder.send(
            "user.response",
            witness.session_id,
            step_id=question["step_id"],
            content={"approved": True},
        )
        await witness.until_ended(1)
        assert_promises(mariadb_site.database_url, witness.session_id, witness)
        await witness.leave()
