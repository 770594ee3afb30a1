"""How long turns stand still when their server dies and another one is there.

All turns are held in the middle of their answers; their server gets SIGKILL; the clients come to
the other one at once, and the model goes on. So what is measured is the failover alone.

On one machine the other server sees that the process is gone. On two it has to wait for the lease:
here, as if they were two, since the servers' rows are made to tell of processes elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.clients import TERMINAL
from bench.onlooker import Onlooker, Scale
from bench.report import Figure, spread
from bench.subjects import MODEL_AGENT, Site, open_site
from tests.crash.witness import execute
from tests.fake_model_control import FakeModelControl

ELSEWHERE = "UPDATE agents_server SET process = 'elsewhere' WHERE ended_at IS NULL"
BEYOND_LEASE_S = 3.0


@dataclass(frozen=True, slots=True)
class Returns:
    """Milliseconds from the kill: until each client is at the other server, and has its answer."""

    back_ms: list[float]
    ended_ms: list[float]


async def kill_one(site: Site, hold: str, scale: Scale, *, is_elsewhere: bool) -> Returns:
    """A pair of servers of its own. `hold`: a name under which nothing was held before."""
    model = FakeModelControl(site.model_url)
    script = f"[[hold {hold} after=2]]"
    lease = {
        "MYAGENT_LEASE_S": f"{scale.lease_s}",
        "MYAGENT_RENEW_S": f"{scale.lease_s / 3}",
    }
    with site.start(MODEL_AGENT, **lease) as lost, site.start(MODEL_AGENT, **lease) as other:
        if is_elsewhere:
            execute(site.database_url, ELSEWHERE)
        clients = await asyncio.gather(*(Onlooker.open(lost.url) for _ in range(scale.turns)))
        async with asyncio.TaskGroup() as tasks:
            for number, client in enumerate(clients):
                tasks.create_task(client.take_turn_elsewhere(number, script, other.url))
            for client in clients:
                await client.is_streaming.wait()
            await model.held(hold, scale.turns)
            killed_at = time.perf_counter()
            await asyncio.to_thread(lost.kill)
            await model.release(hold)
        for client in clients:
            await client.check()
            await client.socket.close()
    return Returns(
        [(client.came_at("agent.session_resumed") - killed_at) * 1000 for client in clients],
        [(client.came_at(*TERMINAL) - killed_at) * 1000 for client in clients],
    )


async def measure_all(database: str, scale: Scale) -> list[Figure]:
    with open_site(database) as site:
        here = [
            await kill_one(site, f"here{each}", scale, is_elsewhere=False)
            for each in range(scale.rounds)
        ]
        elsewhere = [
            await kill_one(site, f"elsewhere{each}", scale, is_elsewhere=True)
            for each in range(scale.rounds)
        ]
    detail = f"{scale.turns} turns, "
    return [
        *figures_of(detail + "one machine", here, scale),
        *figures_of(detail + "two", elsewhere, scale),
    ]


def figures_of(detail: str, rounds: Sequence[Returns], scale: Scale) -> list[Figure]:
    worst = [max(each.ended_ms) / 1000 for each in rounds]
    target = scale.lease_s + BEYOND_LEASE_S
    return [
        *spread("at the other server", detail, [each.back_ms for each in rounds]),
        *spread("the answer is there", detail, [each.ended_ms for each in rounds]),
        Figure.of("all turns have ended", detail, worst, "s", target=target),
    ]
