"""Where the busiest process of the site spends its time, by py-spy: it samples from outside."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.site.parts import WholeSite
from bench.site.resources import PERIOD_S

SAMPLES_A_SECOND = 200
OURS = ("server", "worker", "supervisor")
SHOWN = 25


class NoProfilerError(Exception):
    """py-spy is not there, or may not look; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of all samples a function was in, and how much it was at work itself."""

    function: str
    within: float
    itself: float


async def busiest(site: WholeSite) -> tuple[str, int]:
    """Kind and pid of the process of ours that uses most CPU now."""
    before = _used(site)
    await asyncio.sleep(PERIOD_S)
    used = {who: seconds - before.get(who, seconds) for who, seconds in _used(site).items()}
    return max(used, key=lambda who: used[who])


async def record(pid: int, seconds: int, file: Path) -> list[Share]:
    """Writes collapsed stacks to the file, one a line; the functions, those with most first.

    Raises `NoProfilerError`.
    """
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if program is None:
        raise NoProfilerError("py-spy is missing: scripts/bootstrap --test installs it.")
    what = ("--pid", str(pid), "--duration", str(seconds), "--rate", str(SAMPLES_A_SECOND))
    how = ("--format", "raw", "--output", str(file), "--gil")
    process = await asyncio.create_subprocess_exec(
        program,
        "record",
        *what,
        *how,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise NoProfilerError(said.decode(errors="replace"))
    text = await asyncio.to_thread(file.read_text)
    return shares(text.splitlines())


def shares(stacks: Iterable[str]) -> list[Share]:
    """Of collapsed stacks: functions from the outermost to the innermost, and a count."""
    within: Counter[str] = Counter()
    itself: Counter[str] = Counter()
    total = 0
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        functions = [_without_line(each) for each in stack.split(";")]
        total += int(count)
        itself[functions[-1]] += int(count)
        for function in set(functions):
            within[function] += int(count)
    return [
        Share(function, count / total, itself[function] / total)
        for function, count in within.most_common()
    ]


def table(found: Iterable[Share]) -> str:
    """Those that were most often at work themselves, and those most often under way."""
    found = list(found)
    by_itself = sorted(found, key=lambda share: -share.itself)[:SHOWN]
    rows = [f"| {each.function} | {each.itself:.1%} | {each.within:.1%} |" for each in by_itself]
    return "\n".join(["| function | itself | with what it calls |", "|---|---|---|", *rows])


def _without_line(frame: str) -> str:
    """`name (file:12)` without the 12: a function is one thing."""
    head, colon, _ = frame.rpartition(":")
    return f"{head})" if colon else frame


def _used(site: WholeSite) -> dict[tuple[str, int], float]:
    found = site.processes()
    return {
        (kind, process.pid): sum(process.cpu_times()[:2])
        for kind in OURS
        for process in found[kind]
    }
