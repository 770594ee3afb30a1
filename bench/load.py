"""Many conversations at once: what a turn costs the server, and how long it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bench.clients import Client
from bench.cpu import CpuClock


@dataclass(frozen=True, slots=True)
class Subject:
    """A server under measurement, and who talks to it."""

    name: str
    url: str
    pid: int
    client: type[Client]


@dataclass(frozen=True, slots=True)
class Shape:
    """`sessions` conversations at once; each takes `warm_up` turns that do not count first."""

    sessions: int
    turns: int
    warm_up: int = 2


@dataclass(frozen=True, slots=True)
class Result:
    """CPU seconds a turn, turns a second of wall time, and the wall seconds of every turn."""

    cpu_s: float
    turns_per_s: float
    latencies_s: list[float]


@asynccontextmanager
async def conversations(subject: Subject, count: int) -> AsyncIterator[Sequence[Client]]:
    clients = await asyncio.gather(*(subject.client.open(subject.url) for _ in range(count)))
    try:
        yield clients
    finally:
        await asyncio.gather(*(client.close() for client in clients))


async def measure(subject: Subject, clients: Sequence[Client], turns: int) -> Result:
    """Each client takes that many turns, all clients at once. Raises as `Client.turn` does."""
    clock = CpuClock(subject.pid)
    before_s, began = clock.seconds(), time.perf_counter()
    latencies_s = await asyncio.gather(*(_take_turns(client, turns) for client in clients))
    used_s, took_s = clock.seconds() - before_s, time.perf_counter() - began
    count = len(clients) * turns
    return Result(used_s / count, count / took_s, [each for some in latencies_s for each in some])


async def run(subject: Subject, shape: Shape) -> Result:
    """Fresh conversations, warmed up, then measured."""
    async with conversations(subject, shape.sessions) as clients:
        if shape.warm_up:
            await measure(subject, clients, shape.warm_up)
        return await measure(subject, clients, shape.turns)


async def alternate(
    subjects: Sequence[Subject], shape: Shape, rounds: int
) -> list[tuple[Result, ...]]:
    """Measures the subjects by turns, so that what the machine does besides meets them all."""
    return [tuple([await run(subject, shape) for subject in subjects]) for _ in range(rounds)]


async def _take_turns(client: Client, count: int) -> list[float]:
    latencies_s = []
    for _ in range(count):
        began = time.perf_counter()
        await client.turn()
        latencies_s.append(time.perf_counter() - began)
    return latencies_s
