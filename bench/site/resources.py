"""What each kind of process uses, seen from the operating system, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil

from bench.site.parts import WholeSite

PERIOD_S = 2.0
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process at one moment, in bytes; `own`: with its part of what is shared."""

    at: float
    resident: int
    own: int


@dataclass(slots=True)
class Use:
    """CPU seconds of all processes of a kind up to a moment, and the memory of each process."""

    cpu: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[tuple[str, int], list[Memory]] = field(default_factory=lambda: defaultdict(list))

    def cpu_between(self, kind: str, start: float, end: float) -> float:
        """Seconds used by this kind between the samples next to these moments."""
        inside = [used for at, used in self.cpu[kind] if start <= at <= end]
        return inside[-1] - inside[0] if inside else 0.0


class Sampler:
    """Looks every few seconds. A process that is killed counts up to the last look at it."""

    def __init__(self, site: WholeSite) -> None:
        self.use = Use()
        self._site = site
        self._seen: dict[tuple[int, float], float] = {}
        self._total: defaultdict[str, float] = defaultdict(float)
        self._is_first = True

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Until the context ends. What keeps it from looking ends the context as well."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._live())
            yield
            task.cancel()

    async def _live(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(PERIOD_S)

    def look(self) -> None:
        found = self._site.processes()
        for kind, processes in found.items():
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    self._note(kind, process)
            self.use.cpu[kind].append((time.perf_counter(), self._total[kind]))
        self._is_first = False

    def _note(self, kind: str, process: psutil.Process) -> None:
        key = process.pid, process.create_time()
        used = sum(process.cpu_times()[:2])
        before = self._seen.get(key, used if self._is_first else 0.0)
        self._seen[key] = used
        self._total[kind] += used - before
        memory = process.memory_full_info()
        sample = Memory(time.perf_counter(), memory.rss, memory.pss)
        self.use.memory[kind, process.pid].append(sample)


def growth(samples: Sequence[Memory], start: float, end: float) -> float | None:
    """The mean of the last quarter over that of the first, resident; None for who came later."""
    quarter = (end - start) / 4
    first = [each.resident for each in samples if start <= each.at <= start + quarter]
    last = [each.resident for each in samples if end - quarter <= each.at <= end]
    if not first or not last:
        return None
    return (sum(last) / len(last)) / (sum(first) / len(first))


def slope(samples: Sequence[Memory]) -> float:
    """Bytes a minute, by least squares over all samples; 0 for a single one."""
    if len(samples) < 2:
        return 0.0
    middle_at = sum(each.at for each in samples) / len(samples)
    middle = sum(each.resident for each in samples) / len(samples)
    spread = sum((each.at - middle_at) ** 2 for each in samples)
    together = sum((each.at - middle_at) * (each.resident - middle) for each in samples)
    return 60 * together / spread
