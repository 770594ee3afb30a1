"""Judges an attack by another client, whose turns go on, and by the memory of the server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.recording import Recorder
from tests.runners import ROOT, Runner

TURN_S = 0.3
"""What a turn may take beside an attack; judged by ten times of it."""

GROWTH_BYTES = 150_000_000
"""By which the server may grow at its worst moment."""

SECONDS = 1.0
"""That an attack lasts."""


def kinds_of(attacks: Mapping[str, object], *shown: str) -> list[Any]:
    """Parameters of a test: all kinds of an attack; those not in `shown` are marked long."""
    assert set(shown) <= set(attacks)
    return [
        pytest.param(kind, marks=[] if kind in shown else [pytest.mark.long]) for kind in attacks
    ]


@dataclass
class Judgement:
    """`turns_s`: seconds of each turn, including the one that was running when the attack ended."""

    turns_s: list[float] = field(default_factory=list)
    grown_by: int = 0

    def assert_unharmed(self) -> None:
        assert len(self.turns_s) >= 3, self.turns_s
        assert max(self.turns_s) <= 10 * TURN_S, self.turns_s
        assert self.grown_by <= GROWTH_BYTES, f"{self.grown_by / 1e6:.0f} MB"


@asynccontextmanager
async def judging(runner: Runner) -> AsyncIterator[Judgement]:
    """Runs echo turns, on a socket that was opened before, until the block is left."""
    judgement = Judgement()
    is_over = asyncio.Event()

    async def talk() -> None:
        while not is_over.is_set():
            began = time.monotonic()
            await client.ask(session, "5 hello")
            judgement.turns_s.append(time.monotonic() - began)
            await asyncio.sleep(0.12)  # Below the rate limit of messages.

    async with await Recorder.open(runner.url) as client:
        session = await client.create_session()
        await client.ask(session, "5 hello")
        before = psutil.Process(runner.pid).memory_info().rss
        _forget_peak(runner.pid)
        talking = asyncio.create_task(talk())
        try:
            yield judgement
        finally:
            is_over.set()
            await talking
        judgement.grown_by = _peak(runner.pid) - before


async def carry_out(attack: str, kind: str, port: int, seconds: float = SECONDS) -> dict[str, Any]:
    """Runs an attack as a process of its own; returns the answers that it got."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.attacks.{attack}", kind, str(port), str(seconds)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    report: dict[str, Any] = json.loads(out)
    return report


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> int:
    """The peak memory of the process in bytes, according to the system."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the system does not say")
