"""From what clients and the operating system saw to figures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.report import Figure, quantiles
from bench.site.kills import Kill
from bench.site.record import Diary, Turn
from bench.site.resources import MEBIBYTE, Use, growth, slope

AFTERMATH_S = 30.0
"""Turns that begin so soon after a kill are its own."""

LEAST_TURNS = 2
MOST_GROWTH = 1.10
"""Of the resident memory, last quarter over first."""

TARGETS = dict.fromkeys(("server", "worker", "supervisor", "nginx", "Redis"), MOST_GROWTH)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was measured, from one moment to another, with the kills in it."""

    start: float
    end: float
    kills: Sequence[Kill] = ()

    def is_quiet(self, turn: Turn) -> bool:
        """Nothing died shortly before it, nor while it went on."""
        return self.start <= turn.began <= self.end and not any(
            turn.began < kill.at + AFTERMATH_S and turn.ended > kill.at for kill in self.kills
        )

    def holds(self, turn: Turn) -> bool:
        return self.start <= turn.began <= self.end


def all_figures(diary: Diary, use: Use, stretch: Stretch) -> list[Figure]:
    return [
        *rate_figures(diary, stretch),
        *turn_figures(diary, stretch),
        *kill_figures(diary.turns, stretch),
        *read_figures(diary, stretch),
        *cpu_figures(diary, use, stretch),
        *memory_figures(use, stretch),
    ]


def rate_figures(diary: Diary, stretch: Stretch) -> list[Figure]:
    turns = [turn for turn in diary.turns if stretch.holds(turn)]
    seconds = stretch.end - stretch.start
    ends = Counter(turn.end for turn in diary.turns)
    again = sum(turn.sent > 1 for turn in diary.turns)
    told = ", ".join(f"{count} {end}" for end, count in ends.most_common())
    refused = ", ".join(f"{count} {name}" for name, count in diary.refusals.most_common())
    return [
        one("turns a second", f"over {seconds:.0f} s", len(turns) / seconds, "/s"),
        one("turns, each ended once", told, len(diary.turns), ""),
        one("messages that had to be sent again", "", again, ""),
        one("connections cut by clients", "", diary.drops, ""),
        one("what clients were refused", refused or "nothing", sum(diary.refusals.values()), ""),
    ]


def turn_figures(diary: Diary, stretch: Stretch) -> list[Figure]:
    """While nothing dies."""
    quiet = [turn for turn in diary.turns if stretch.is_quiet(turn)]
    figures = []
    for kind in sorted({turn.kind for turn in quiet}):
        some = [turn for turn in quiet if turn.kind == kind]
        figures += spread(f"{kind} turn, quiet", [turn.ended - turn.began for turn in some])
        first = [turn.first_text - turn.began for turn in some if turn.first_text]
        figures += spread(f"{kind} turn, quiet: first text", first)
    figures += spread("accepted, quiet", [turn.acknowledged - turn.began for turn in quiet])
    return figures


def kill_figures(turns: Sequence[Turn], stretch: Stretch) -> list[Figure]:
    """How much later turns end than they do while nothing dies."""
    usual_s = usual(turn for turn in turns if stretch.is_quiet(turn))
    figures = []
    for kill in stretch.kills:
        under_way = [turn for turn in turns if turn.began <= kill.at < turn.ended]
        after = [turn for turn in turns if kill.at < turn.began <= kill.at + AFTERMATH_S]
        detail = f"{len(under_way)} turns under way, back after {kill.back - kill.at:.1f} s"
        last = max((lateness(turn, usual_s) for turn in under_way), default=0.0)
        figures.append(one(f"{kill.what}: the latest of these is late by", detail, last, "s"))
        late = [lateness(turn, usual_s) for turn in after]
        figures += spread(f"{kill.what}: turns of the next {AFTERMATH_S:.0f} s late by", late)
    return figures


def usual(quiet: Iterable[Turn]) -> dict[str, float]:
    """The median seconds of a turn, by its kind."""
    found: dict[str, list[float]] = {}
    for turn in quiet:
        found.setdefault(turn.kind, []).append(turn.ended - turn.began)
    return {kind: statistics.median(seconds) for kind, seconds in found.items()}


def lateness(turn: Turn, usual_s: Mapping[str, float]) -> float:
    """Seconds beyond what such a turn usually takes."""
    return max(0.0, turn.ended - turn.began - usual_s.get(turn.kind, 0.0))


def read_figures(diary: Diary, stretch: Stretch) -> list[Figure]:
    reads = [read for read in diary.reads if stretch.start <= read[2] <= stretch.end]
    others = Counter(status for _, status, _, _ in reads if status != 200)
    told = ", ".join(f"{count} × {status or 'no answer'}" for status, count in others.items())
    took = [took for _, status, _, took in reads if status == 200]
    return [
        one("reads over REST, others than 200", told or "none", sum(others.values()), ""),
        *spread("a read over REST", took),
    ]


def cpu_figures(diary: Diary, use: Use, stretch: Stretch) -> list[Figure]:
    """All the CPU of a kind by all turns, viewers and reads included."""
    turns = sum(stretch.start <= turn.ended <= stretch.end for turn in diary.turns)
    seconds = stretch.end - stretch.start
    used = {kind: use.cpu_between(kind, stretch.start, stretch.end) for kind in sorted(use.cpu)}
    used["the whole site"] = sum(used.values())
    return [
        one(f"CPU a turn: {kind}", f"{each / seconds:.0%} of a core", each / turns * 1000, "ms")
        for kind, each in used.items()
        if turns
    ]


def memory_figures(use: Use, stretch: Stretch) -> list[Figure]:
    """Of every process that was there from the first quarter to the last.

    A database's cache is there to be filled: what that has is told alone.
    """
    figures = []
    for (kind, pid), samples in sorted(use.memory.items()):
        grown = growth(samples, stretch.start, stretch.end)
        if grown is None:
            continue
        own = max(sample.own for sample in samples) / MEBIBYTE
        measured = [sample for sample in samples if stretch.start <= sample.at <= stretch.end]
        detail = f"pid {pid}, {own:.0f} MiB at most, {slope(measured) / 1024:+.0f} KiB a minute"
        what, target = f"memory, last quarter / first: {kind}", TARGETS.get(kind)
        figures.append(Figure(what, detail, grown, "×", grown, grown, target))
    return figures


def one(what: str, detail: str, value: float, unit: str) -> Figure:
    return Figure(what, detail, value, unit, value, value)


def spread(what: str, seconds: Sequence[float]) -> list[Figure]:
    """p50, with p99 beside it as the upper extreme."""
    if len(seconds) < LEAST_TURNS:
        return []
    p50, p99 = quantiles(seconds)
    detail = f"{len(seconds)} times, p99 {p99 * 1000:.0f} ms, worst {max(seconds):.2f} s"
    return [Figure(f"{what}, p50", detail, p50 * 1000, "ms", p50 * 1000, p99 * 1000)]


def markdown(figures: Iterable[Figure]) -> str:
    """A table for a page of documentation."""
    rows = [
        f"| {figure.what} | {figure.detail} | {figure.target_text or '–'} "
        f"| {figure.value:,.2f} {figure.unit} |"
        for figure in figures
    ]
    return "\n".join(["| what | measured | target | result |", "|---|---|---|---|", *rows])
