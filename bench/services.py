"""What many services cost on one machine: to start, to keep, and until a wish is heard.

`python -m bench.services` prints the figures; `--json FILE` keeps them. A real
supervisor runs real workers on a new SQLite database; wishes are set through
the verbs that every door calls, and what follows is seen in the process table.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.arguments import parser_of
from bench.report import Figure, publish

ROOT = Path(__file__).resolve().parent.parent
AGENT = ROOT / "examples" / "ws_weather_agent.py"
MEGABYTE = 1024 * 1024
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run."""

    services: int
    idle_s: float
    wishes: int


FULL = Scale(20, 30.0, 30)
QUICK = Scale(2, 1.0, 2)


def until(fact: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not fact():
        if time.monotonic() > deadline:
            raise TimeoutError("it never came true")
        time.sleep(0.005)


@contextmanager
def supervised(folder: Path) -> Iterator[psutil.Process]:
    """A supervisor of its own, with nothing to do yet; its workers end with it."""
    environment = {
        "DATABASE_URL": f"sqlite:///{folder}/site.db",
        "MYAGENT_VAR_DIR": str(folder),
        "MYAGENT_ENV_FILE": os.devnull,
        "MYAGENT_SUPERVISOR": "external",
        "DJANGO_SETTINGS_MODULE": "myagent_site.settings",
    }
    os.environ.update(environment)
    import django

    django.setup()
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity=0"], check=True)
    with subprocess.Popen(
        [*manage, "supervise"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def cpu_s(processes: Sequence[psutil.Process]) -> list[float]:
    return [sum(process.cpu_times()[:2]) for process in processes]


def measure_all(scale: Scale) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory() as folder,
        supervised(Path(folder)) as supervisor,
    ):
        from services import control
        from services.catalogue import registry
        from services.models import Instance, Service

        names = [f"service-{number}" for number in range(scale.services)]
        services = [registry.register(name=name, agent_factory_path=str(AGENT)) for name in names]
        running = Instance.objects.filter(state=Instance.State.RUNNING)
        try:
            began = time.monotonic()
            for service in services:
                control.start(service)
            until(lambda: running.count() == scale.services)
            start_s = time.monotonic() - began
            workers = [psutil.Process(pid) for pid in running.values_list("pid", flat=True)]
            figures = [
                Figure.of(
                    f"{scale.services} services to running", "wall", [start_s], "s", target=60
                ),
                *idle_figures(scale, supervisor, workers),
                *memory_figures(supervisor, workers),
                wish_figure(scale, services[0]),
            ]
        finally:
            Service.objects.update(desired=Service.Desired.STOPPED)
            control.stop(services[0])
            until(lambda: not Instance.objects.filter(live_slot__isnull=False).exists())
    return figures


def idle_figures(
    scale: Scale, supervisor: psutil.Process, workers: Sequence[psutil.Process]
) -> list[Figure]:
    """CPU of processes to which nobody talks, in percent of a core."""
    everyone = [supervisor, *workers]
    before, began = cpu_s(everyone), time.monotonic()
    time.sleep(scale.idle_s)
    seconds = time.monotonic() - began
    shares = [
        (after - earlier) / seconds * 100
        for after, earlier in zip(cpu_s(everyone), before, strict=True)
    ]
    return [
        Figure.of("an idle worker", f"CPU over {seconds:.0f} s", shares[1:], "%", target=2),
        Figure.of(f"the supervisor of {len(workers)}", "CPU", shares[:1], "%"),
    ]


def memory_figures(supervisor: psutil.Process, workers: Sequence[psutil.Process]) -> list[Figure]:
    """`resident` counts shared pages in full, `own` by its part of them."""
    found = [worker.memory_full_info() for worker in workers]
    return [
        Figure.of("memory of a worker", "resident", [one.rss / MEGABYTE for one in found], "MB"),
        Figure.of("memory of a worker", "own share", [one.pss / MEGABYTE for one in found], "MB"),
        Figure.of(
            "memory of the supervisor", "resident", [supervisor.memory_info().rss / MEGABYTE], "MB"
        ),
    ]


def wish_figure(scale: Scale, service: Any) -> Figure:
    """From a wish in the database to the process that comes or goes."""
    from services import control

    def is_there() -> bool:
        return bool(service.instances.filter(live_slot__isnull=False, pid__isnull=False).exists())

    delays_s = []
    for _ in range(scale.wishes):
        control.stop(service)
        until(lambda: not is_there())
        # At any moment between two looks of the supervisor, and not right after one.
        time.sleep(random.uniform(0.5, 1.5))
        began = time.monotonic()
        control.start(service)
        until(is_there)
        delays_s.append(time.monotonic() - began)
    worst_ms = max(delays_s) * 1000
    detail = f"worst of {len(delays_s)}: {worst_ms:.0f} ms"
    middle = statistics.median(delays_s)
    return Figure("a wish is acted on", detail, middle, "s", min(delays_s), max(delays_s), 0.3)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__, has_databases=False)
    options = parser.parse_args(arguments)
    figures = measure_all(QUICK if options.quick else FULL)
    publish("Services, sqlite", figures, options.json)


if __name__ == "__main__":
    main()
