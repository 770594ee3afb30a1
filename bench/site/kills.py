"""What happens to the site while it is at work: each part is killed once, or told to reload."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.site.parts import WholeSite

KILLS: dict[str, Callable[[WholeSite], None]] = {
    "a worker": WholeSite.kill_worker,
    "a server": WholeSite.kill_server,
    "the supervisor": WholeSite.kill_supervisor,
    "Redis": WholeSite.kill_redis,
    "nginx": WholeSite.kill_nginx,
    "nginx, a reload": WholeSite.reload_nginx,
    "MariaDB": WholeSite.kill_mariadb,
}


@dataclass(frozen=True, slots=True)
class Kill:
    """When it was, and when the part was there again; seconds of `time.perf_counter`."""

    what: str
    at: float
    back: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Quiet, then a kill every so many seconds, then quiet again."""

    before_s: float
    apart_s: float
    after_s: float

    @classmethod
    def of(cls, seconds: float, kills: int) -> Plan:
        """Two thirds of the time for kills, if there are any."""
        if not kills:
            return cls(seconds, 0.0, 0.0)
        return cls(seconds / 6, seconds * 2 / 3 / kills, seconds / 6)


async def carry_out(site: WholeSite, what: Sequence[str], plan: Plan) -> list[Kill]:
    """Lets the time pass that the plan says."""
    await asyncio.sleep(plan.before_s)
    kills = []
    for name in what:
        at = time.perf_counter()
        await asyncio.to_thread(KILLS[name], site)
        kills.append(Kill(name, at, time.perf_counter()))
        await asyncio.sleep(max(0.0, at + plan.apart_s - time.perf_counter()))
    await asyncio.sleep(plan.after_s)
    return kills
