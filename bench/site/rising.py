"""More and more clients: how many one machine carries, and what gives way first.

Clients and the stand-in for the model share the machine; what they use is told apart.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

import psutil

from bench.report import Figure, quantiles
from bench.site.figures import Stretch, one, spread
from bench.site.mix import mix_of
from bench.site.parts import WholeSite
from bench.site.record import Diary, judge
from bench.site.resources import Sampler, Use

STEPS = (25, 50, 100, 150, 200, 300, 400, 600)
QUICK_STEPS = (5, 10)
SETTLE_S = 5.0
ENOUGH_S = 2.0
"""An echo turn whose p99 is above: no more clients come."""


async def rising_figures(site: WholeSite, steps: Sequence[int], step_s: float) -> list[Figure]:
    sampler = Sampler(site)
    figures: list[Figure] = []
    async with sampler.looking(), mix_of(site, 0) as mix:
        for clients in steps:
            await mix.grow_to(clients)
            await asyncio.sleep(SETTLE_S)
            stretch, busy = await _watch(step_s)
            found = step_figures(clients, mix.diary, sampler.use, stretch, busy)
            figures += found
            print(*(f"{each.what}: {each.detail}, {each.value:.2f} {each.unit}" for each in found),
                  sep="\n", flush=True)  # fmt: skip
            if quantiles([0.0, *_echo_turns(mix.diary, stretch)])[1] > ENOUGH_S:
                break
    await judge(site, mix.diary)
    return figures


async def _watch(step_s: float) -> tuple[Stretch, float]:
    """A while, and which share of the machine was busy in it."""
    start = time.perf_counter()
    psutil.cpu_percent()
    await asyncio.sleep(step_s)
    return Stretch(start, time.perf_counter()), psutil.cpu_percent() / 100


def step_figures(
    clients: int, diary: Diary, use: Use, stretch: Stretch, busy: float
) -> list[Figure]:
    """Turns a second, how long they took, and cores by kind of process."""
    seconds = stretch.end - stretch.start
    ended = sum(stretch.start <= turn.ended <= stretch.end for turn in diary.turns)
    cores = {
        kind: use.cpu_between(kind, stretch.start, stretch.end) / seconds
        for kind in sorted(use.cpu)
    }
    told = ", ".join(f"{kind} {used:.0%}" for kind, used in cores.items())
    site = sum(cores.values())
    accepted = [
        turn.acknowledged - turn.began
        for turn in diary.turns
        if stretch.holds(turn) and turn.acknowledged
    ]
    name = f"{clients} clients"
    machine = f"the machine is {busy:.0%} busy, {site / (os.cpu_count() or 1):.0%} of it the site"
    return [
        one(f"{name}: turns a second", machine, ended / seconds, "/s"),
        *spread(f"{name}: an echo turn", _echo_turns(diary, stretch)),
        *spread(f"{name}: accepted", accepted),
        one(f"{name}: CPU of the site", told, site, "cores"),
    ]


def _echo_turns(diary: Diary, stretch: Stretch) -> list[float]:
    """The seconds of those that have ended."""
    return [
        turn.ended - turn.began
        for turn in diary.turns
        if turn.kind == "echo" and stretch.holds(turn) and turn.ended
    ]
