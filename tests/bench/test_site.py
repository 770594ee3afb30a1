"""The bench of a whole site: how it counts and judges, and, with `--long`, all of it in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.site.figures import AFTERMATH_S, Stretch, kill_figures, lateness, usual
from bench.site.kills import KILLS, Kill, Plan
from bench.site.profile import Share, shares
from bench.site.record import Account, LostError, Turn, assert_each_once
from bench.site.resources import MEBIBYTE, Memory, Use, growth, slope


def entry(seq: int, event: str = "agent.thinking", **metadata: Any) -> dict[str, Any]:
    return {"session_id": "s", "seq": seq, "event": event, "content": "", "metadata": metadata}


def turn(began: float, ended: float, kind: str = "echo") -> Turn:
    return Turn(kind, f"{began}", began, began, began, ended, "agent.final_answer", 1)


@pytest.mark.parametrize("seqs", [[2], [1, 3], [1, 1], [1, 2, 1]])
def test_a_client_that_misses_an_event_or_sees_one_again_says_so(seqs: list[int]) -> None:
    account = Account("s")
    with pytest.raises(LostError):
        for seq in seqs:
            account.note(entry(seq))


def test_what_has_no_place_in_the_log_or_is_anothers_is_not_kept() -> None:
    account = Account("s")
    account.note({"event": "system.heartbeat", "metadata": {}})
    account.note(entry(7) | {"session_id": "other"})
    account.note(entry(1, "agent.session_created"))
    assert (account.last_seq, account.has_ended) == (1, False)
    account.note(entry(2, "agent.session_end"))
    assert account.has_ended


@pytest.mark.parametrize("ends", [[], ["m", "m"], ["other"]])
def test_a_message_that_has_not_ended_just_once_is_found(ends: list[str]) -> None:
    log = [entry(1, "user.message", message_id="m")]
    log += [entry(2 + at, "agent.final_answer", message_id=id_) for at, id_ in enumerate(ends)]
    with pytest.raises(AssertionError):
        assert_each_once(log)


def test_the_time_is_shared_out_and_ends_quietly() -> None:
    plan = Plan.of(600, len(KILLS))
    assert plan.before_s == plan.after_s == 100
    assert plan.before_s + len(KILLS) * plan.apart_s + plan.after_s == pytest.approx(600)
    assert Plan.of(60, 0).before_s == 60


def test_a_turn_is_late_by_what_it_takes_beyond_the_usual() -> None:
    quiet = [turn(0, 1), turn(0, 2), turn(0, 3), turn(0, 9, "long")]
    assert usual(quiet) == {"echo": 2, "long": 9}
    assert lateness(turn(0, 5), usual(quiet)) == 3
    assert lateness(turn(0, 8, "long"), usual(quiet)) == 0


def test_a_kill_counts_for_what_was_under_way_and_what_began_soon_after() -> None:
    kill = Kill("a worker", at=100, back=102)
    turns = [turn(0, 1), turn(10, 11), turn(99, 104), turn(101, 103), turn(105, 107)]
    turns.append(turn(101 + AFTERMATH_S, 200))
    stretch = Stretch(0, 300, [kill])
    assert [each.began for each in turns if stretch.is_quiet(each)] == [0, 10, 101 + AFTERMATH_S]
    late, after = kill_figures(turns, Stretch(0, 50, [kill]))
    assert late.value == 4
    assert "1 turns under way, back after 2.0 s" in late.detail
    assert after.detail.startswith("2 times")


def memory(*megabytes: float) -> list[Memory]:
    """One sample a minute."""
    sizes = [int(each * MEBIBYTE) for each in megabytes]
    return [Memory(60.0 * at, size, size) for at, size in enumerate(sizes)]


def test_a_leak_is_seen_and_a_process_that_came_late_is_not_judged() -> None:
    assert growth(memory(100, 100, 100, 100, 100), 0, 240) == 1
    assert growth(memory(100, 110, 120, 130, 140), 0, 240) == pytest.approx(135 / 105)
    assert growth(memory(100, 110, 120, 130, 140)[3:], 0, 240) is None
    assert slope(memory(100, 110, 120)) == pytest.approx(10 * MEBIBYTE)
    assert slope(memory(100)) == 0


def test_cpu_is_counted_between_two_moments() -> None:
    use = Use()
    use.cpu["server"] += [(0, 0.0), (2, 1.0), (4, 3.0), (6, 9.0)]
    assert use.cpu_between("server", 1, 5) == 2
    assert use.cpu_between("worker", 1, 5) == 0


def test_a_function_counts_once_a_stack_however_often_it_is_in_it() -> None:
    stacks = ["main (a.py:1);f (a.py:2);f (a.py:3) 3", "main (a.py:1);g (b.py:9) 1"]
    found = {share.function: share for share in shares(stacks)}
    assert found["main (a.py)"] == Share("main (a.py)", 1.0, 0.0)
    assert found["f (a.py)"] == Share("f (a.py)", 0.75, 0.75)
    assert found["g (b.py)"].itself == 0.25


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.parametrize("how", [(), ("--rising",)])
def test_the_whole_bench_in_small(tmp_path: Path, how: tuple[str, ...]) -> None:
    file = tmp_path / "figures.json"
    # A process of its own: it tells programs which certificate to trust.
    subprocess.run(
        [sys.executable, "-m", "bench.site", "--quick", *how, "--json", str(file)],
        env=os.environ | {"SECRET_KEY": "for tests"},
        check=True,
    )
    told = {figure["what"] for figure in json.loads(file.read_bytes())["figures"]}
    if how:
        assert {"5 clients: turns a second", "10 clients: CPU of the site"} <= told
    else:
        assert {"turns a second", "CPU a turn: server", "memory a silent client: nginx"} <= told
        assert "a server: the latest of these is late by" in told
