"""An instance's descendants are found wherever they went, and its memory is limited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.supervision.launchers import LaunchSpec, local
from services.supervision.launchers.family import descendants
from services.supervision.launchers.local import LocalLauncher
from services.supervision.launchers.marks import is_marked, mark, unmark
from services.supervision.launching import most_memory_mb
from tests.runners import ROOT

PATIENCE_S = 30.0

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux gives orphans to whom it is told"),
]

HIDES = """
import os, subprocess, sys, time
from pathlib import Path
from myagent.worker import descendants

descendants.adopt_orphans()
# A child that starts the hidden one, in a session of its own and without an environment, and ends.
orphan = "import subprocess; print(subprocess.Popen(['/bin/sleep', '1000'], env={}, \
start_new_session=True, stdout=-3, stderr=-3).pid)"
found = subprocess.run([sys.executable, "-c", orphan], capture_output=True, text=True, env={})
Path("pid.new").write_text(found.stdout)
Path("pid.new").rename("pid")
"""
CRASHES = "os.kill(os.getpid(), 9)\n"
WAITS = "time.sleep(1000)\n"
LEAVES = "descendants.end_all()\n"
TAKES = """
import resource, time

# Of a program that is quicker than its launcher nothing is promised.
while resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY:
    time.sleep(0.01)
try:
    bytearray(2 * 1024**3)
except MemoryError:
    raise SystemExit(42)
"""
THREADS = """
import threading

over = threading.Event()
threads = [threading.Thread(target=over.wait) for _ in range(100)]
for thread in threads:
    thread.start()
over.set()
"""


def until(is_so: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := is_so()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


class Launched:
    def __init__(self, folder: Path) -> None:
        self.launcher = LocalLauncher()
        self._folder = folder
        self.handle = ""

    def start(self, program: str, **fields: Any) -> int:
        spec = LaunchSpec(
            instance_id="one",
            command=[sys.executable, "-c", program],
            environment=os.environ | {"PYTHONPATH": str(ROOT)},
            folder=self._folder,
            log=self._folder / "log",
            **fields,
        )
        launched = self.launcher.launch(spec)
        self.handle = launched.handle
        assert launched.pid is not None
        return launched.pid

    def hidden(self) -> int:
        file = self._folder / "pid"
        until(file.exists)
        return int(file.read_text())

    def end(self) -> None:
        self.launcher.terminate("one", self.handle, by_force=True)

    def look(self) -> Any:
        return self.launcher.poll("one", self.handle)


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Launched]:
    launched = Launched(tmp_path)
    yield launched
    launched.end()
    until(lambda: not launched.look().is_alive)


def test_what_left_group_session_and_environment_is_ended_with_it(launched: Launched) -> None:
    launched.start(HIDES + WAITS)
    hidden = launched.hidden()
    assert is_there(hidden)
    launched.end()
    until(lambda: not is_there(hidden))


def test_what_it_had_started_is_ended_after_it_was_killed(launched: Launched) -> None:
    pid = launched.start(HIDES + WAITS)
    hidden = launched.hidden()
    assert launched.look().is_alive
    os.kill(pid, signal.SIGKILL)
    until(lambda: not launched.look().is_alive)
    assert is_there(hidden)
    launched.end()
    until(lambda: not is_there(hidden))


def test_what_it_had_started_just_before_it_crashed_is_ended(launched: Launched) -> None:
    pid = launched.start(HIDES + CRASHES)
    hidden = launched.hidden()
    # Nobody has looked at it before.
    until(lambda: not is_there(pid))
    assert is_there(hidden)
    launched.end()
    until(lambda: not is_there(hidden))


def test_a_mark_is_inherited_and_can_be_taken_away() -> None:
    with subprocess.Popen(
        ["/bin/sh", "-c", "read go; sleep 1000 & echo $!; read go"],
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdin is not None and shell.stdout is not None
        assert not is_marked(shell.pid, "one")
        mark(shell.pid, "one")
        print("go", file=shell.stdin, flush=True)
        child = int(shell.stdout.readline())
        try:
            assert is_marked(child, "one")
            assert not is_marked(child, "other")
            unmark(child)
            assert not is_marked(child, "one")
            assert is_marked(shell.pid, "one")
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_worker_that_leaves_takes_along_what_it_started(launched: Launched) -> None:
    launched.start(HIDES + LEAVES)
    hidden = launched.hidden()
    until(lambda: not launched.look().is_alive)
    assert not is_there(hidden)


def test_more_memory_than_it_may_have_is_refused_before_it_is_used(launched: Launched) -> None:
    launched.start(TAKES, most_memory_mb=656)
    assert until(lambda: not (seen := launched.look()).is_alive and seen).exit_code == 42


def test_with_the_smallest_limit_it_may_have_many_threads(launched: Launched) -> None:
    # Their stacks are reserved, not used.
    launched.start(THREADS, most_memory_mb=most_memory_mb(64))
    assert until(lambda: not (seen := launched.look()).is_alive and seen).exit_code == 0


@pytest.mark.parametrize("limit_mb", [64, 256, 4000])
def test_beyond_twice_the_limit_the_system_allows_what_is_reserved_and_no_more(
    limit_mb: int,
) -> None:
    assert most_memory_mb(limit_mb) == 2 * limit_mb + 1024
    assert most_memory_mb(None) is None


def test_families_are_read_from_the_table_of_parents() -> None:
    children = {1: [2, 9], 2: [3, 4], 4: [5], 9: [2]}
    assert descendants(2, children) == [3, 4, 5]
    assert descendants(1, children) == [2, 9, 3, 4, 5]
    assert descendants(7, children) == []


@pytest.mark.parametrize("group", [0, -1])
def test_no_signal_goes_to_a_whole_group(group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    with pytest.raises(ValueError, match="no process"):
        local._signal(group, signal.SIGKILL)
    assert sent == []
