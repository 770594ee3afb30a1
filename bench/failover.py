"""How long turns stand still when their worker dies: SIGKILL to it while all of them run.

`python -m bench.failover` prints the figures; `--json FILE` keeps them. A run
that loses a turn, doubles one, leaves a gap in a log or closes a socket raises.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import orjson
import psutil
from websockets.asyncio.client import ClientConnection, connect

from bench.clients import TERMINAL, TURN_S, TurnLostError
from bench.report import Figure, publish, quantiles
from bench.subjects import MODEL_AGENT, Site, open_site


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run. Each turn's answer takes `chunks` · `delay_ms`."""

    rounds: int
    turns: int
    chunks: int
    delay_ms: int = 100


FULL = Scale(rounds=5, turns=50, chunks=50)
QUICK = Scale(rounds=1, turns=5, chunks=20)


class Onlooker:
    """One conversation, whose turn is under way; when each frame came is written down."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.is_streaming = asyncio.Event()
        self.times: list[tuple[float, dict[str, Any]]] = []

    @classmethod
    async def open(cls, url: str) -> Self:
        return cls(await connect(url, compression=None, max_size=None, ping_interval=None))

    async def take_turn(self, number: int, scale: Scale) -> None:
        """One message and its whole answer. Raises `TurnLostError`, `TimeoutError`."""
        async with asyncio.timeout(TURN_S):
            await self._send({"event": "user.create_session"})
            session_id = (await self._until("agent.session_created"))["session_id"]
            script = f"[[chunks={scale.chunks} delay_ms={scale.delay_ms}]]"
            content = f"Turn {number} {'tells a long story ' * 30}{script}"
            event = {"event": "user.message", "session_id": session_id, "content": content}
            await self._send(event)
            await self._until("agent.partial_answer")
            self.is_streaming.set()
            end = await self._until(*TERMINAL)
        if end["event"] != "agent.final_answer" or f"Turn {number} " not in end["content"]:
            raise TurnLostError(f"{number} -> {end}")

    async def check(self) -> None:
        """Raises `TurnLostError` if the log that was shown has a gap, or an end too many."""
        seqs = [frame["seq"] for _, frame in self.times if "seq" in frame]
        ends = [frame for _, frame in self.times if frame["event"] in TERMINAL]
        if seqs != list(range(1, len(seqs) + 1)) or len(ends) != 1:
            raise TurnLostError(f"entries {seqs}, {len(ends)} ends")
        # A doubled answer would come before this one.
        await self._send({"event": "user.create_session"})
        last = await self._until("agent.session_created")
        if [f for _, f in self.times if f["event"] in TERMINAL] != ends:
            raise TurnLostError(f"ended twice before {last}")

    def notice_at(self, code: str) -> float:
        """When it was told how its turn fares. Raises `TurnLostError`."""
        for at, frame in self.times:
            if frame["event"] == "system.notice" and frame["metadata"]["code"] == code:
                return at
        raise TurnLostError(f"it was never told {code!r}: its turn met no death")

    def text_at(self) -> float:
        """When its turn showed text again."""
        resumed_at = self.notice_at("continued")
        return next(
            at
            for at, frame in self.times
            if at > resumed_at and frame["event"] == "agent.partial_answer"
        )

    async def _send(self, event: dict[str, Any]) -> None:
        await self.socket.send(orjson.dumps(event).decode())

    async def _until(self, *events: str) -> dict[str, Any]:
        while True:
            frame: dict[str, Any] = orjson.loads(await self.socket.recv())
            self.times.append((time.perf_counter(), frame))
            if frame["event"] in events:
                return frame


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


def spread(what: str, detail: str, rounds: Sequence[Sequence[float]]) -> list[Figure]:
    """The median turn, the 99th percentile and the worst, each over the rounds."""
    cuts = [quantiles(values) for values in rounds]
    return [
        Figure.of(f"{what}, p50", detail, [p50 for p50, _ in cuts], "ms"),
        Figure.of(f"{what}, p99", detail, [p99 for _, p99 in cuts], "ms"),
        Figure.of(f"{what}, worst", detail, [max(values) for values in rounds], "ms"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "mariadb"), default="sqlite")
    parser.add_argument("--turns", type=int, default=0, help="at once; 50 by default")
    parser.add_argument("--quick", action="store_true", help="only show that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.turns:
        scale = replace(scale, turns=options.turns)
    load = os.getloadavg()[0]
    figures = asyncio.run(measure_all(options.database, scale))
    title = f"A worker's death, {options.database}, load {load:.1f} at the start"
    publish(title, figures, options.json)


if __name__ == "__main__":
    main()
