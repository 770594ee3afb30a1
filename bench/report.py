"""What a benchmark found: figures against their targets, and the machine they hold for."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import orjson
import psutil
from rich.console import Console
from rich.table import Table

PACKAGES = ("django", "uvicorn", "uvloop", "websockets", "openai", "aiohttp", "orjson", "pydantic")


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is in `unit`; `low` and `high` are the extremes of the rounds.

    `is_at_least`: the target is to be reached, and not to be kept under.
    """

    what: str
    detail: str
    value: float
    unit: str
    low: float
    high: float
    target: float | None = None
    is_at_least: bool = False

    @classmethod
    def of(cls, what: str, detail: str, values: Sequence[float], unit: str, **more: Any) -> Self:
        """The median of several rounds."""
        return cls(what, detail, statistics.median(values), unit, min(values), max(values), **more)

    @property
    def is_met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.is_at_least else self.value <= self.target

    @property
    def target_text(self) -> str:
        sign = "≥" if self.is_at_least else "≤"
        return "" if self.target is None else f"{sign} {self.target:g} {self.unit}"


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def spread(what: str, detail: str, rounds: Sequence[Sequence[float]]) -> list[Figure]:
    """The median turn, the 99th percentile and the worst, each over the rounds."""
    cuts = [quantiles(values) for values in rounds]
    return [
        Figure.of(f"{what}, p50", detail, [p50 for p50, _ in cuts], "ms"),
        Figure.of(f"{what}, p99", detail, [p99 for _, p99 in cuts], "ms"),
        Figure.of(f"{what}, worst", detail, [max(values) for values in rounds], "ms"),
    ]


def microseconds(values_s: Iterable[float]) -> str:
    """The median as text."""
    return f"{statistics.median(values_s) * 1e6:,.0f} µs"


def machine() -> dict[str, str]:
    """What the figures depend on."""
    return {
        "processor": _processor(),
        "cores": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def as_json(title: str, figures: Sequence[Figure]) -> dict[str, Any]:
    rows = [asdict(figure) | {"is_met": figure.is_met} for figure in figures]
    return {"title": title, "machine": machine(), "figures": rows}


def publish(title: str, figures: Sequence[Figure], file: Path | None) -> None:
    """Prints the figures, and keeps them in the file."""
    show(title, figures)
    if file:
        file.write_bytes(orjson.dumps(as_json(title, figures), option=orjson.OPT_INDENT_2))


def show(title: str, figures: Sequence[Figure]) -> None:
    table = Table("what", "measured", "result", "rounds", "target", "met", title=title)
    for figure in figures:
        met = {None: "", True: "yes", False: "[bold]no[/bold]"}[figure.is_met]
        result = f"{figure.value:.2f} {figure.unit}"
        rounds = f"{figure.low:.2f} – {figure.high:.2f}"
        table.add_row(figure.what, figure.detail, result, rounds, figure.target_text, met)
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
