"""What a client costs who is there and silent: memory, by the kind of process that has it."""

from __future__ import annotations

import asyncio

from bench.crowd import Crowd
from bench.report import Figure
from bench.site.figures import one
from bench.site.parts import PEOPLE, WholeSite
from bench.site.resources import PERIOD_S

AT_ONCE = 20
KIBIBYTE = 1024


async def idle_figures(site: WholeSite, clients: int) -> list[Figure]:
    """So many come through nginx, with a conversation of one turn each, and stay.

    `clients` is a multiple of the people.
    """
    before = await asyncio.to_thread(own_memory, site)
    with Crowd() as crowd:
        for url in site.urls_with_token("echo"):
            share = clients // PEOPLE
            await asyncio.to_thread(crowd.connect, "session", url, share, AT_ONCE)
        await asyncio.to_thread(crowd.take_turns, 1, AT_ONCE)
        await asyncio.sleep(PERIOD_S)
        after = await asyncio.to_thread(own_memory, site)
    return [
        one(
            f"memory a silent client: {kind}",
            f"{clients} clients, {after[kind] / 2**20:.0f} MiB in all",
            (after[kind] - before[kind]) / clients / KIBIBYTE,
            "KiB",
        )
        for kind in sorted(before)
    ]


def own_memory(site: WholeSite) -> dict[str, int]:
    """Bytes of all processes of a kind, each with its part of what is shared."""
    return {
        kind: sum(process.memory_full_info().pss for process in processes)
        for kind, processes in site.processes().items()
    }
