"""What a client costs who is there and silent: memory and files, by the kind of process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

from bench.crowd import Crowd
from bench.report import Figure
from bench.site.figures import one
from bench.site.parts import PEOPLE, SERVERS, WholeSite
from bench.site.resources import MEBIBYTE, PERIOD_S
from tests.crash.witness import query

AT_ONCE = 20
KIBIBYTE = 1024
KINDS = ("server", "worker", "nginx", "MariaDB", "Redis")
CONNECTED = "SHOW STATUS LIKE 'Threads_connected'"


@dataclass(frozen=True, slots=True)
class Holding:
    """Bytes of all processes of a kind, each with its part of what is shared; open files."""

    memory: dict[str, int]
    files: dict[str, int]

    @classmethod
    def of(cls, site: WholeSite) -> Self:
        found = site.processes()
        return cls(
            {kind: sum(one.memory_full_info().pss for one in found[kind]) for kind in KINDS},
            {kind: sum(one.num_fds() for one in found[kind]) for kind in KINDS},
        )


async def idle_figures(site: WholeSite, clients: int) -> list[Figure]:
    """So many come through nginx, with a conversation of one turn each, and stay.

    `clients` is a multiple of the people.
    """
    before = await asyncio.to_thread(Holding.of, site)
    with Crowd() as crowd:
        for url in site.urls_with_token("echo"):
            await asyncio.to_thread(crowd.connect, "session", url, clients // PEOPLE, AT_ONCE)
        await asyncio.to_thread(crowd.take_turns, 1, AT_ONCE)
        await asyncio.sleep(PERIOD_S)
        after = await asyncio.to_thread(Holding.of, site)
        ((_, connected),) = await asyncio.to_thread(query, site.database_url, CONNECTED)
    detail = f"{SERVERS} servers and a supervisor"
    return [
        *_figures(before, after, clients),
        one("connections to the database", detail, int(connected), ""),
    ]


def _figures(before: Holding, after: Holding, clients: int) -> list[Figure]:
    figures = []
    for kind in KINDS:
        grown = (after.memory[kind] - before.memory[kind]) / clients / KIBIBYTE
        detail = f"{clients} clients, {after.memory[kind] / MEBIBYTE:.0f} MiB in all"
        figures.append(one(f"memory a silent client: {kind}", detail, grown, "KiB"))
    for kind in KINDS:
        opened = (after.files[kind] - before.files[kind]) / clients
        detail = f"{after.files[kind]} in all"
        figures.append(one(f"open files a silent client: {kind}", detail, opened, ""))
    return figures
