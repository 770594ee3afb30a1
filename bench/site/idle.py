"""What a client costs who is there and silent: memory and files, by the kind of process."""

from __future__ import annotations

import asyncio

from bench.crowd import Crowd
from bench.report import Figure
from bench.site.figures import one
from bench.site.parts import PEOPLE, SERVERS, WholeSite
from bench.site.resources import MEBIBYTE, PERIOD_S
from tests.crash.witness import query

AT_ONCE = 20
KIBIBYTE = 1024
KEEPING = ("server", "worker", "nginx", "MariaDB", "Redis")
CONNECTED = "SHOW STATUS LIKE 'Threads_connected'"


async def idle_figures(site: WholeSite, clients: int) -> list[Figure]:
    """So many come through nginx, with a conversation of one turn each, and stay.

    `clients` is a multiple of the people.
    """
    before, files_before = await asyncio.to_thread(lambda: (own_memory(site), open_files(site)))
    with Crowd() as crowd:
        for url in site.urls_with_token("echo"):
            share = clients // PEOPLE
            await asyncio.to_thread(crowd.connect, "session", url, share, AT_ONCE)
        await asyncio.to_thread(crowd.take_turns, 1, AT_ONCE)
        await asyncio.sleep(PERIOD_S)
        after, files = await asyncio.to_thread(lambda: (own_memory(site), open_files(site)))
        told = await asyncio.to_thread(query, site.database_url, CONNECTED)
    memory = [
        one(
            f"memory a silent client: {kind}",
            f"{clients} clients, {after[kind] / MEBIBYTE:.0f} MiB in all",
            (after[kind] - before[kind]) / clients / KIBIBYTE,
            "KiB",
        )
        for kind in KEEPING
    ]
    opened = [
        one(
            f"files a silent client: {kind}",
            f"{files[kind]} open in all",
            (files[kind] - files_before[kind]) / clients,
            "",
        )
        for kind in KEEPING
    ]
    detail = f"{SERVERS} servers and a supervisor"
    return [*memory, *opened, one("connections to the database", detail, int(told[0][1]), "")]


def own_memory(site: WholeSite) -> dict[str, int]:
    """Bytes of all processes of a kind, each with its part of what is shared."""
    return {
        kind: sum(process.memory_full_info().pss for process in processes)
        for kind, processes in site.processes().items()
    }


def open_files(site: WholeSite) -> dict[str, int]:
    return {
        kind: sum(process.num_fds() for process in processes)
        for kind, processes in site.processes().items()
    }
