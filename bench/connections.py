"""Coming in: thousands of clients connect, some at once, and begin a session each.

`python -m bench.connections` prints the figures; `--json FILE` keeps them. A
bare ASGI echo on the same server is measured in the same run. A client that is
refused raises.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

from bench.arguments import parser_of
from bench.cpu import CpuClock
from bench.crowd import Crowd, TooFewFilesError, allow_files
from bench.load import Subject
from bench.report import Figure, publish, quantiles
from bench.subjects import ECHO_AGENT, open_site


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run. `first`: clients that come before anything is measured."""

    clients: int
    at_once: int
    first: int


FULL = Scale(clients=10_000, at_once=40, first=200)
QUICK = Scale(clients=40, at_once=10, first=10)


@dataclass(frozen=True, slots=True)
class Coming:
    """`handshakes_s`: from connecting to a session, or to the word that was echoed."""

    clients: int
    took_s: float
    cpu_s: float
    handshakes_s: list[float]
    grown_bytes: int

    @property
    def rate(self) -> float:
        return self.clients / self.took_s

    @property
    def cpu_us(self) -> float:
        """CPU time of the server, and of its worker, that a client took."""
        return self.cpu_s / self.clients * 1e6

    @property
    def kib(self) -> float:
        """Memory that a client took."""
        return self.grown_bytes / self.clients / 1024


def come_in(subject: Subject, kind: str, scale: Scale) -> Coming:
    """All clients come, and stay until all are there."""
    with Crowd() as crowd:
        # What every server needs once must not count as a client's.
        crowd.connect(kind, subject.url, scale.first, scale.at_once)
        server = psutil.Process(subject.pid)
        clock = CpuClock(subject.pid)
        before, used_s, began = server.memory_info().rss, clock.seconds(), time.perf_counter()
        handshakes_s = crowd.connect(kind, subject.url, scale.clients, scale.at_once)
        took_s, cpu_s = time.perf_counter() - began, clock.seconds() - used_s
        grown = server.memory_info().rss - before
        return Coming(scale.clients, took_s, cpu_s, handshakes_s, grown)


def measure_all(database: str, scale: Scale) -> list[Figure]:
    with open_site(database) as site:
        bare = come_in(site.baseline("echo"), "echo", scale)
        ours = come_in(site.runner("sessions", ECHO_AGENT), "session", scale)
    return [*figures_of("with a session", ours, has_targets=True), *figures_of("bare echo", bare),
            *compared(ours, bare)]  # fmt: skip


def figures_of(detail: str, coming: Coming, *, has_targets: bool = False) -> list[Figure]:
    p50_s, p99_s = quantiles(coming.handshakes_s)
    worst_s = max(coming.handshakes_s)
    reach = {"target": 300.0, "is_at_least": True} if has_targets else {}
    worst_target, memory_target = (1_000.0, 35.0) if has_targets else (None, None)
    return [
        Figure.of("clients a second", detail, [coming.rate], "/s", **reach),
        Figure.of("CPU a client", detail, [coming.cpu_us], "µs"),
        Figure.of("handshake, p50", detail, [p50_s * 1e3], "ms"),
        Figure.of("handshake, p99", detail, [p99_s * 1e3], "ms"),
        Figure.of("handshake, worst", detail, [worst_s * 1e3], "ms", target=worst_target),
        Figure.of("memory a client", detail, [coming.kib], "KiB", target=memory_target),
    ]


def compared(ours: Coming, bare: Coming) -> list[Figure]:
    p50s = quantiles(ours.handshakes_s)[0] / quantiles(bare.handshakes_s)[0]
    return [
        Figure.of("with a session / bare echo", "time a client", [bare.rate / ours.rate], "×"),
        Figure.of("with a session / bare echo", "CPU a client", [ours.cpu_us / bare.cpu_us], "×"),
        Figure.of("with a session / bare echo", "handshake, p50", [p50s], "×"),
        Figure.of("with a session / bare echo", "memory a client", [ours.kib / bare.kib], "×"),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clients", type=int, default=0, help="10,000 by default")
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    if options.clients:
        scale = replace(scale, clients=options.clients)
    try:
        allow_files(scale.first + scale.clients)
    except TooFewFilesError as error:
        parser.error(str(error))
    load = os.getloadavg()[0]
    figures = measure_all(options.database, scale)
    title = f"{scale.clients} clients come in, {scale.at_once} at a time, {options.database}"
    title += f", load {load:.1f} at the start"
    publish(title, figures, options.json)


if __name__ == "__main__":
    main()
