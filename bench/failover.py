"""How long turns stand still when their worker dies: SIGKILL to it while all of them run.

`python -m bench.failover` prints the figures; `--json FILE` keeps them. A run that loses a turn,
doubles one, leaves a gap in a log or closes a socket raises. With `--servers`, it is one of two
servers that dies (`bench.server_failover`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

from bench import server_failover
from bench.arguments import parser_of
from bench.onlooker import Onlooker, Scale
from bench.report import Figure, publish, spread
from bench.subjects import MODEL_AGENT, Site, open_site

FULL = Scale(rounds=5, turns=50, chunks=50)
QUICK = Scale(rounds=1, turns=5, chunks=20, lease_s=3.0)


@dataclass(frozen=True, slots=True)
class Pauses:
    """Milliseconds from a kill: until each turn is told, has a worker again, shows text again."""

    told_ms: list[float]
    placed_ms: list[float]
    text_ms: list[float]


async def kill_one(site: Site, turns: int, scale: Scale) -> Pauses:
    """All turns begin, their worker is killed once all show text, all must end.

    On a server of its own: a worker that dies again soon is started more slowly.
    """
    with site.start(MODEL_AGENT) as runner:
        clients = await asyncio.gather(*(Onlooker.open(runner.url) for _ in range(turns)))
        async with asyncio.TaskGroup() as tasks:
            for number, client in enumerate(clients):
                tasks.create_task(client.take_turn(number, scale))
            for client in clients:
                await client.is_streaming.wait()
            worker = worker_of(runner.pid)
            killed_at = time.perf_counter()
            os.kill(worker, signal.SIGKILL)
        for client in clients:
            await client.check()
            await client.socket.close()
    return Pauses(
        [(client.notice_at("continuing") - killed_at) * 1000 for client in clients],
        [(client.notice_at("continued") - killed_at) * 1000 for client in clients],
        [(client.text_at() - killed_at) * 1000 for client in clients],
    )


def worker_of(server: int) -> int:
    """The pid of a server's only worker."""
    children = psutil.Process(server).children()
    (worker,) = [one.pid for one in children if "myagent.worker" in one.cmdline()]
    return worker


async def measure_all(database: str, scale: Scale) -> list[Figure]:
    with open_site(database) as site:
        rounds = [
            (await kill_one(site, 1, scale), await kill_one(site, scale.turns, scale))
            for _ in range(scale.rounds)
        ]
    alone = [one for one, _ in rounds]
    together = [many for _, many in rounds]
    turns = f"{scale.turns} turns"
    return [
        *spread("told of the death", turns, [pauses.told_ms for pauses in together]),
        *spread("text again", turns, [pauses.text_ms for pauses in together]),
        Figure.of("another worker", turns, [min(pauses.placed_ms) for pauses in together], "ms"),
        Figure.of("another worker", "1 turn", [min(pauses.placed_ms) for pauses in alone], "ms"),
        Figure.of(
            f"text again: the last of {turns} / a turn alone",
            "wall time",
            [max(many.text_ms) / max(one.text_ms) for one, many in rounds],
            "×",
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--servers", action="store_true", help="kill a server, and not a worker")
    parser.add_argument("--turns", type=int, default=0, help="at once; 50 by default")
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.turns:
        scale = replace(scale, turns=options.turns)
    load = os.getloadavg()[0]
    if options.servers:
        measured, what = server_failover.measure_all(options.database, scale), "A server's death"
    else:
        measured, what = measure_all(options.database, scale), "A worker's death"
    figures = asyncio.run(measured)
    publish(f"{what}, {options.database}, load {load:.1f} at the start", figures, options.json)


if __name__ == "__main__":
    main()
