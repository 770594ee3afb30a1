"""A whole site under a mixed load, with every part of it killed once; what one machine carries.

`python -m bench.site` runs for ten minutes and prints the figures; `--json FILE` keeps them.
Clients come through nginx over TLS; they talk, drop their connections, watch and read. A run in
which an accepted message has not ended just once, or a client has missed an event or seen it twice,
raises.
"""

from __future__ import annotations

import asyncio
import os
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from bench.arguments import parser_of
from bench.crowd import allow_files
from bench.report import Figure, publish
from bench.site import profile
from bench.site.figures import Stretch, all_figures, markdown, one
from bench.site.idle import idle_figures
from bench.site.kills import KILLS, Plan, carry_out
from bench.site.mix import mix_of
from bench.site.parts import WholeSite, whole_site
from bench.site.record import judge
from bench.site.resources import Sampler
from bench.site.rising import QUICK_STEPS, STEPS, rising_figures

CLIENTS, QUICK_CLIENTS = 100, 10
WARM_UP_S, QUICK_WARM_UP_S = 30.0, 2.0
QUICK_S = 15.0
STEP_S, QUICK_STEP_S = 30.0, 3.0
IDLE, QUICK_IDLE = 1_000, 20
"""Clients that come after all the others, and are silent."""

PROFILE_S = 60
QUICK_KILLS = ("a worker", "a server")


async def measure(site: WholeSite, options: Namespace) -> list[Figure]:
    sampler = Sampler(site)
    plan = Plan.of(options.seconds, len(options.kill))
    async with sampler.looking(), mix_of(site, options.clients) as mix:
        await asyncio.sleep(options.warm_up_s)
        if options.profile:
            await profile_busiest(site, options.profile)
        start = time.perf_counter()
        kills = await carry_out(site, options.kill, plan)
        stretch = Stretch(start, time.perf_counter(), kills)
    entries = await judge(site, mix.diary)
    figures = [one("entries on which log and clients agree", "all", entries, "")]
    return figures + all_figures(mix.diary, sampler.use, stretch)


async def profile_busiest(site: WholeSite, file: Path) -> None:
    kind, pid = await profile.busiest(site)
    found = await profile.record(pid, PROFILE_S, file)
    print(f"The busiest process: {kind}, pid {pid}\n{profile.table(found)}")


async def run(site: WholeSite, options: Namespace) -> list[Figure]:
    if options.rising:
        steps = QUICK_STEPS if options.quick else STEPS
        return await rising_figures(site, steps, QUICK_STEP_S if options.quick else STEP_S)
    figures = await measure(site, options)
    return figures + await idle_figures(site, QUICK_IDLE if options.quick else IDLE)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    allow_files(IDLE)
    load = os.getloadavg()[0]
    with whole_site() as site:
        figures = asyncio.run(run(site, options))
    title = f"A whole site, {options.clients} clients, {options.seconds / 60:g} minutes"
    if options.rising:
        title = "A whole site, more and more clients"
    publish(f"{title}, load {load:.1f} at the start", figures, options.json)
    print(markdown(figures))


def _options(arguments: Sequence[str] | None) -> Namespace:
    parser = parser_of(__doc__, has_databases=False)
    parser.add_argument("--minutes", type=float, default=10.0, help="10 by default")
    parser.add_argument("--clients", type=int, default=0, help=f"who talk; {CLIENTS} by default")
    parser.add_argument(
        "--kill", action="append", choices=(*KILLS, "nothing"), help="only this; may be repeated"
    )
    parser.add_argument(
        "--rising", action="store_true", help="instead, more and more clients, and no kills"
    )
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="also of the busiest process, for a minute"
    )
    options = parser.parse_args(arguments)
    options.seconds = QUICK_S if options.quick else options.minutes * 60
    options.clients = options.clients or (QUICK_CLIENTS if options.quick else CLIENTS)
    options.warm_up_s = QUICK_WARM_UP_S if options.quick else WARM_UP_S
    options.kill = options.kill or list(QUICK_KILLS if options.quick else KILLS)
    options.kill = [name for name in options.kill if name != "nothing"]
    return options


if __name__ == "__main__":
    main()
