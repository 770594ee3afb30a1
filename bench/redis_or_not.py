"""The same measurement with Redis and without, by turns, and its figures."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from bench.arguments import parser_of
from bench.report import Figure, publish
from bench.subjects import Site, open_site
from tests.servers import Redis

TARGETS_MS = {"Redis": 50.0, "no Redis": 300.0}

T = TypeVar("T")


class Scale(Protocol):
    """A dataclass that says how much is run."""

    @property
    def rounds(self) -> int: ...

    @property
    def turns_per_s(self) -> float: ...


def run(
    arguments: Sequence[str] | None,
    *,
    about: str | None,
    title: str,
    full: Any,
    quick: Any,
    measure: Callable[..., Awaitable[T]],
    figures_of: Callable[[str, Sequence[T]], list[Figure]],
) -> None:
    """A bench's command. `measure` is called with the site, the scale and an environment."""
    parser = parser_of(about)
    parser.add_argument("--rounds", type=int, default=0, help="3 by default")
    options = parser.parse_args(arguments)
    scale = quick if options.quick else full
    if options.rounds:
        scale = replace(scale, rounds=options.rounds)
    load = os.getloadavg()[0]
    found = asyncio.run(_by_turns(options.database, scale, measure))
    figures = [figure for how, rounds in found.items() for figure in figures_of(how, rounds)]
    title = f"{title}, {scale.turns_per_s:g} turns/s, {options.database}"
    publish(f"{title}, load {load:.1f} at the start", figures, options.json)


async def _by_turns(
    database: str, scale: Scale, measure: Callable[..., Awaitable[T]]
) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {how: [] for how in TARGETS_MS}
    with ExitStack() as stack:
        site: Site = stack.enter_context(open_site(database))
        redis = stack.enter_context(Redis())
        for _ in range(scale.rounds):
            found["Redis"].append(await measure(site, scale, REDIS_URL=redis.url))
            found["no Redis"].append(await measure(site, scale, REDIS_URL=""))
    return found
