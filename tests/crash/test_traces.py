"""A trace tells of every attempt at its run, whatever was killed, and no span stays open."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.conftest import Site
from tests.crash.test_kill import finish, kill
from tests.crash.witness import Witness, until
from tests.crash.workers import kill_worker

pytestmark = pytest.mark.both_databases(when_long=True)


def spans(site: Site) -> list[tuple[Any, ...]]:
    """`(attempt, kind, status)` of each, in order; all of them have ended."""
    rows = site.query(
        "SELECT attempt, kind, status, ended_at FROM traces_span ORDER BY attempt, step, kind"
    )
    assert all(ended_at is not None for *_, ended_at in rows)
    return [(attempt, kind, status) for attempt, kind, status, _ in rows]


async def ask_and_hold(site: Site) -> tuple[Any, Witness]:
    runner = await site.start()
    witness = await Witness.arrive(runner.url)
    await witness.say("hello [[hold model after=3]]", message_id="first")
    await site.fake.wait_held("model")
    await witness.recorder.until("agent.partial_answer")
    assert site.query("SELECT status, attempts FROM traces_trace") == [("running", 1)]
    assert site.query("SELECT kind, status, ended_at FROM traces_span") == [
        ("think", "running", None)
    ]
    return runner, witness


def both_attempts(site: Site) -> None:
    assert site.query("SELECT status, attempts, steps FROM traces_trace") == [("answered", 2, 1)]
    assert spans(site) == [(1, "think", "cut_off"), (2, "think", "success")]


async def test_the_death_of_a_worker_shows_as_two_attempts(site: Site) -> None:
    runner, witness = await ask_and_hold(site)
    await kill_worker(runner)
    site.fake.release("model")
    await witness.until_ended(1)
    await witness.leave()
    both_attempts(site)


async def test_the_death_of_a_server_shows_as_two_attempts(site: Site) -> None:
    runner, witness = await ask_and_hold(site)
    await kill(runner, witness)
    site.fake.release("model")
    await finish(site, witness)
    both_attempts(site)


async def test_a_tool_that_was_cut_off_has_a_span_in_both_attempts(site: Site) -> None:
    runner, reached = await site.start_with_barrier("before", "agent.tool_result")
    witness = await Witness.arrive(runner.url)
    await witness.say('go [[tool look {"text": "a"}]]', message_id="first")
    await until(reached.exists)
    await kill(runner, witness)
    await finish(site, witness)
    assert spans(site) == [
        (1, "think", "success"),
        (1, "tool", "cut_off"),
        (2, "tool", "success"),
        (2, "think", "success"),
    ]
