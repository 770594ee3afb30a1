"""Python's collector: left alone about what lives long, until it is time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.runtime.garbage import LEAST, SeldomCollected, collect_less, is_due
from tests.agents.runtime.short_commands import said_by

LEFT = """
import atexit, gc, runpy, sys
# What is registered first is called last.
atexit.register(lambda: print("objects that are not searched:", gc.get_freeze_count()))
sys.path.insert(0, ".")
"""


@pytest.fixture
def collected() -> Iterator[SeldomCollected]:
    collected = SeldomCollected()
    yield collected
    collected.end()


def collections() -> int:
    """How often everything was looked at."""
    return int(gc.get_stats()[2]["collections"])


def test_what_is_there_at_the_beginning_is_not_looked_at_again_until_the_end(
    collected: SeldomCollected,
) -> None:
    before = gc.get_threshold()
    collected.begin()
    collected.begin()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[:2] == before[:2]
    collected.end()
    collected.end()
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)


def test_a_server_collects_as_usual_whatever_its_start_did(collected: SeldomCollected) -> None:
    usual = gc.get_threshold()
    collect_less()
    assert gc.get_threshold()[0] > usual[0]
    collected.begin()
    assert gc.get_threshold()[:2] == usual[:2]
    collected.end()
    assert gc.get_threshold() == usual


def test_python_does_not_look_at_everything_by_itself(collected: SeldomCollected) -> None:
    collected.begin()
    before = collections()
    kept = [[] for _ in range(200_000)]  # type: ignore[var-annotated]
    assert (collections(), len(kept)) == (before, 200_000)


def test_everything_is_looked_at_once_it_is_time(collected: SeldomCollected) -> None:
    collected.begin()
    gc.collect()
    before = collections()
    collected.look(sockets=0)
    assert collections() == before
    while gc.get_count()[2] < LEAST:
        gc.collect(1)
    collected.look(sockets=0)
    assert collections() == before + 1


def test_that_sockets_come_is_no_reason_to_look_at_everything() -> None:
    # A socket with its session is some 170 objects.
    sockets = range(0, 20_000, 100)
    assert not any(is_due(count * 170 // 7_000, count) for count in sockets)
    assert is_due(2 * 10_000 * 170 // 7_000, 10_000)


@pytest.mark.processes
@pytest.mark.parametrize(
    "program",
    [
        "sys.argv = ['manage.py', 'services', 'list']; runpy.run_path('manage.py', {}, '__main__')",
        "from myagent.manager.cli.manager import main; main(['list'])",
    ],
    ids=["manage.py", "myagent.manager"],
)
def test_a_command_that_ends_does_not_search_its_memory(program: str, tmp_path: Path) -> None:
    said = said_by(LEFT + program, tmp_path)
    assert int(said.rpartition(":")[2]) > 10_000
