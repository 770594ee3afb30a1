"""The worker of a server with one agent file: what fails is told, and tried again."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.exceptions import ImproperlyConfigured

from agents.runs import standalone
from agents.runs.child import NotLaunched, WorkerDied, WorkerUnfit
from agents.runs.standalone import StandaloneWorker
from agents.runs.workers import Pool

pytestmark = pytest.mark.processes

PATIENCE_S = 30.0
AGENT = "async def agent(text):\n    return text\n"
HANGS = "import time\ntime.sleep(3600)\n"


@pytest.fixture
def var(settings: Any) -> Iterator[Path]:
    """With a path so short that sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="v") as name:
        settings.VAR_DIR = Path(name)
        yield settings.VAR_DIR


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "small.py"
    write(file, AGENT)
    return file


def write(file: Path, code: str) -> None:
    file.write_text(code)


Keep = Callable[..., StandaloneWorker]


@pytest.fixture
async def keep(var: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Keep]:
    """Makes keepers, which end with the test; what they tell is in `told`."""
    monkeypatch.setattr(standalone, "LAST_DELAY_S", 0.2)
    made: list[StandaloneWorker] = []

    def keep(file: Path, **options: Any) -> StandaloneWorker:
        made.append(StandaloneWorker(file, "small", **options))
        return made[-1]

    yield keep
    for worker in made:
        await worker.stop()
    assert not children()


class Told:
    """What could not be done, in order."""

    def __init__(self, worker: StandaloneWorker) -> None:
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        worker.on_failure = self.errors.put_nowait

    async def next(self) -> Exception:
        async with asyncio.timeout(PATIENCE_S):
            return await self.errors.get()


def children() -> list[int]:
    """The workers of this process, ready or not."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any(word.startswith("--parent-fd=") for word in child.cmdline()):
                found.append(child.pid)
    return found


def pool_of(worker: StandaloneWorker) -> Pool:
    return worker.workers.of("small")


async def pid_of(worker: StandaloneWorker, *, but: int = 0) -> int:
    """The worker's, once there is another than `but`."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for link in pool_of(worker):
                if not link.is_closed and link.pid != but:
                    return link.pid
            await asyncio.sleep(0.01)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """What this process opens from now on is one too many, as on a busy machine."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    # The gaps below the highest are filled.
    filled = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, before[1]))
    try:
        while True:
            filled.append(os.dup(0))
    except OSError:
        pass
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in filled:
            os.close(descriptor)


async def test_a_worker_that_can_not_be_started_for_want_of_descriptors_is_tried_again(
    keep: Keep, file: Path
) -> None:
    worker = keep(file)
    told = Told(worker)
    await worker.start()
    dead = await pid_of(worker)
    with no_descriptor_left():
        os.kill(dead, 9)
        assert isinstance(await told.next(), NotLaunched)
    assert await pid_of(worker, but=dead)


async def test_one_for_which_there_is_no_folder_is_tried_again_and_holds_no_descriptor(
    keep: Keep, file: Path, var: Path
) -> None:
    worker = keep(file)
    told = Told(worker)
    await worker.start()
    dead = await pid_of(worker)
    run, aside = var / "run", var / "aside"
    run.rename(aside)
    run.touch()
    os.kill(dead, 9)
    assert isinstance(await told.next(), ImproperlyConfigured)
    held = len(os.listdir("/proc/self/fd"))
    worker.renew()
    assert isinstance(await told.next(), ImproperlyConfigured)
    assert len(os.listdir("/proc/self/fd")) == held
    run.unlink()
    aside.rename(run)
    assert await pid_of(worker, but=dead)


async def test_one_that_found_no_folder_at_its_launch_stays_in_the_one_it_finds_later(
    keep: Keep, file: Path, var: Path
) -> None:
    run = var / "run"
    run.touch()
    worker = keep(file, is_patient=True)
    worker.launch()
    run.unlink()
    run.mkdir()
    dead = run / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(dead))
    os.utime(dead, (0, 0))
    async with asyncio.timeout(PATIENCE_S):
        await worker.start()
    # A stay begins with sweeping.
    assert not dead.exists()


async def test_the_same_failure_is_told_once_until_the_file_changes(keep: Keep, file: Path) -> None:
    write(file, "import os\nos._exit(3)\n")
    worker = keep(file, is_patient=True)
    told = Told(worker)
    starting = asyncio.create_task(worker.start())
    assert isinstance(await told.next(), WorkerDied)
    seen: set[int] = set()
    async with asyncio.timeout(PATIENCE_S):
        while len(seen) < 3:
            seen.update(children())
            await asyncio.sleep(0.005)
    assert told.errors.empty()
    worker.renew()
    assert isinstance(await told.next(), WorkerDied)
    write(file, AGENT)
    async with asyncio.timeout(PATIENCE_S):
        await starting
    assert await pid_of(worker)


async def test_a_file_that_hangs_gives_way_to_its_next_version(keep: Keep, file: Path) -> None:
    write(file, HANGS)
    worker = keep(file, is_patient=True)
    starting = asyncio.create_task(worker.start())
    first = await _child()
    worker.renew()
    second = await _child(but=first)
    assert not starting.done()
    write(file, AGENT)
    worker.renew()
    async with asyncio.timeout(PATIENCE_S):
        await starting
    assert await pid_of(worker) not in (first, second)
    write(file, HANGS)
    present = await pid_of(worker)
    worker.renew()
    hanging = await _child(but=present)
    write(file, AGENT)
    worker.renew()
    assert await pid_of(worker, but=present) != hanging


async def _child(*, but: int = 0) -> int:
    """The only child of this process but one."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = [pid for pid in children() if pid != but]
            if len(found) == 1:
                return found[0]
            await asyncio.sleep(0.005)


TALKS = """\
#!{python}
import json, socket, struct, sys, time
listening = socket.socket(socket.AF_UNIX)
listening.bind(next(a for a in sys.argv if a.startswith("--socket=")).partition("=")[2])
listening.listen()
while True:
    link, _ = listening.accept()
    frame = b'{frame}'
    link.sendall(struct.pack(">I", len(frame)) + frame)
"""


@pytest.mark.parametrize("frame", ['{"kind": "unfit", "version": 99}', '{"a": 1}', '"hello"'])
async def test_a_worker_that_can_not_be_understood_is_refused_with_a_reason(
    keep: Keep, file: Path, tmp_path: Path, frame: str
) -> None:
    python = tmp_path / "python"
    python.write_text(TALKS.replace("{python}", sys.executable).replace("{frame}", frame))
    python.chmod(0o755)
    worker = keep(file, python=str(python))
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(WorkerUnfit):
            await worker.start()


async def test_ceasing_leaves_the_worker_and_brings_no_other(keep: Keep, file: Path) -> None:
    worker = keep(file)
    told = Told(worker)
    await worker.start()
    pid = await pid_of(worker)
    worker.renew()
    await worker.cease()
    assert children() == [pid]
    worker.workers.close()
    await worker.stop()
    assert told.errors.empty() and not children()
