"""What a turn costs: durable, resumable turns against the least that could be had without.

`python -m bench.turns` prints the figures; `--json FILE` keeps them. Everything
runs on this machine, over loopback; the baselines and the product take turns
in short rounds, and a ratio is the median over the rounds.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.arguments import parser_of
from bench.load import Shape, Subject, alternate, conversations, measure, run
from bench.report import Figure, microseconds, publish, quantiles
from bench.subjects import ECHO_AGENT, MODEL_AGENT, Site, open_site

HISTORY = 10
"""Turns of history at which model turns are compared."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run."""

    rounds: int
    sessions: int
    echo_turns: int
    model_sessions: int
    loaded_turns: int
    long_turns: int
    window: int
    starts: int


FULL = Scale(5, 50, 1_000, 16, 1_000, 500, 10, 5)
QUICK = Scale(1, 5, 20, 2, 10, 20, 5, 1)


async def echo_figures(site: Site, scale: Scale) -> list[Figure]:
    """An echo turn on a runner over a round trip of the bare echo."""
    bare = site.baseline("echo")
    runner = site.runner("echo turn", ECHO_AGENT)
    figures = []
    for sessions in sorted({1, min(10, scale.sessions), scale.sessions}):
        shape = Shape(sessions, max(1, scale.echo_turns // sessions))
        await alternate([bare, runner], Shape(sessions, 2), 1)
        results = await alternate([bare, runner], shape, scale.rounds)
        trips, turns = ([each.cpu_s for each in some] for some in zip(*results, strict=True))
        detail = f"{microseconds(turns)} / {microseconds(trips)}"
        what = f"echo turn / bare echo, {sessions} at once"
        target = 8.0 if sessions == scale.sessions else None
        figures.append(Figure.of(what, detail, ratios(turns, trips), "×", target=target))
    figures += await history_figures("echo", runner, scale, sessions=min(10, scale.sessions))
    return figures


async def model_figures(site: Site, scale: Scale) -> list[Figure]:
    """A model turn on a runner over the same turn in an app written by hand."""
    runner = site.runner("model turn", MODEL_AGENT)
    sdk, raw = site.baseline("plain_sdk"), site.baseline("raw_http")
    subjects = [runner, sdk, raw]
    await alternate(subjects, Shape(scale.model_sessions, 1, 1), 1)
    # The turns measured have 8 to 12 turns of history, 10 on average.
    shape = Shape(scale.model_sessions, turns=5, warm_up=HISTORY - 2)
    results = await alternate(subjects, shape, scale.rounds)
    ours, sdks, raws = ([each.cpu_s for each in some] for some in zip(*results, strict=True))
    figures = [
        Figure.of(
            f"model turn / plain SDK app, {HISTORY} turns of history",
            f"{microseconds(ours)} / {microseconds(sdks)}",
            ratios(ours, sdks),
            "×",
            target=0.35,
        ),
        Figure.of(
            f"model turn / raw HTTP app, {HISTORY} turns of history",
            f"{microseconds(ours)} / {microseconds(raws)}",
            ratios(ours, raws),
            "×",
            target=4.0,
        ),
    ]
    figures += await load_figures(runner, scale)
    figures += await history_figures("model", runner, scale, sessions=min(4, scale.sessions))
    return figures


async def before_figures(site: Site, scale: Scale, tree: Path) -> list[Figure]:
    """A model turn here over the same turn of another checkout, server and worker together."""
    now = site.runner("model turn", MODEL_AGENT)
    before = site.runner("model turn before", MODEL_AGENT, tree=tree)
    return await _compared(now, before, "before", scale)


async def tracing_figures(site: Site, scale: Scale) -> list[Figure]:
    """A model turn that is traced over one that is not, with a database each."""
    traced = site.runner("model turn, traced", MODEL_AGENT)
    plain = site.runner("model turn", MODEL_AGENT, apart=True, MYAGENT_TRACING="off")
    return await _compared(traced, plain, "not traced", scale)


async def _compared(one: Subject, other: Subject, other_is: str, scale: Scale) -> list[Figure]:
    await alternate([one, other], Shape(scale.model_sessions, 1, 1), 1)
    shape = Shape(scale.model_sessions, turns=5, warm_up=HISTORY - 2)
    results = await alternate([one, other], shape, scale.rounds)
    ours, theirs = zip(*results, strict=True)
    cpu, other_cpu = ([each.cpu_s for each in some] for some in (ours, theirs))
    rate, other_rate = ([each.turns_per_s for each in some] for some in (ours, theirs))
    rates = f"{statistics.median(rate):.0f} / {statistics.median(other_rate):.0f} a second"
    return [
        Figure.of(
            f"model turn / {other_is}, CPU",
            f"{microseconds(cpu)} / {microseconds(other_cpu)}",
            ratios(cpu, other_cpu),
            "×",
            target=1.1,
        ),
        Figure.of(f"model turns a second / {other_is}", rates, ratios(rate, other_rate), "×"),
    ]


async def load_figures(runner: Subject, scale: Scale) -> list[Figure]:
    """How long a model turn takes while all sessions are busy. A lost turn would raise."""
    turns = max(1, scale.loaded_turns // scale.sessions)
    result = await run(runner, Shape(scale.sessions, turns))
    p50_s, p99_s = quantiles(result.latencies_s)
    what = f"model turn, {scale.sessions} sessions busy: p99 / p50"
    detail = f"{p99_s * 1000:.0f} ms / {p50_s * 1000:.0f} ms, {len(result.latencies_s)} turns"
    return [Figure.of(what, detail, [p99_s / p50_s], "×", target=4.0)]


async def history_figures(
    kind: str, runner: Subject, scale: Scale, *, sessions: int
) -> list[Figure]:
    """The last turns of a long conversation over its first."""
    window = scale.window
    async with conversations(runner, sessions) as clients:
        first = await measure(runner, clients, window)
        await measure(runner, clients, scale.long_turns - 2 * window)
        last = await measure(runner, clients, window)
    what = f"{kind} turn {scale.long_turns} / turn {window // 2}"
    detail = f"{microseconds([last.cpu_s])} / {microseconds([first.cpu_s])}"
    return [Figure.of(what, detail, [last.cpu_s / first.cpu_s], "×", target=1.5)]


def start_figures(site: Site, scale: Scale) -> list[Figure]:
    """From the command to ready: with a new database, and with one that is there."""
    new_s = site.start_s(ECHO_AGENT)
    later_s = [site.start_s(ECHO_AGENT) for _ in range(scale.starts)]
    return [
        Figure.of("runagent to ready, database new", "wall time", [new_s], "s"),
        Figure.of("runagent to ready", "wall time", later_s, "s", target=1.5),
    ]


def ratios(ours: Sequence[float], others: Sequence[float]) -> list[float]:
    """Round by round."""
    return [our / other for our, other in zip(ours, others, strict=True)]


async def measure_all(
    database: str, scale: Scale, *, before: Path | None = None, is_of_tracing: bool = False
) -> list[Figure]:
    with open_site(database) as site:
        if before is not None:
            return await before_figures(site, scale, before)
        if is_of_tracing:
            return await tracing_figures(site, scale)
        figures = start_figures(site, scale)
        figures += await echo_figures(site, scale)
        figures += await model_figures(site, scale)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--sessions", type=int, default=0, help="at once; 50 by default")
    parser.add_argument("--before", type=Path, metavar="TREE", help="only against another checkout")
    parser.add_argument(
        "--tracing", action="store_true", help="only with traces against without them"
    )
    parser.add_argument("--rounds", type=int, default=0, help="5 by default")
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.sessions:
        scale = replace(scale, sessions=options.sessions)
    if options.rounds:
        scale = replace(scale, rounds=options.rounds)
    figures = asyncio.run(
        measure_all(options.database, scale, before=options.before, is_of_tracing=options.tracing)
    )
    title = f"Turns, {options.database}"
    publish(title, figures, options.json)


if __name__ == "__main__":
    main()
