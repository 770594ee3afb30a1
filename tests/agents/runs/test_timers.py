"""A run's time-out stands still while somebody is asked; a question has a deadline of its own."""

from __future__ import annotations

import asyncio
import gc
import weakref
from datetime import UTC, datetime

from agents.runs.timers import RunTimers

PAST = datetime(2026, 1, 1, tzinfo=UTC)


class Calls(list[str]):
    """What was called."""

    def noting(self, name: str) -> RunTimers:
        return RunTimers(0.0, lambda: self.append(name))


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_timers_that_are_paused_do_not_time_out_until_they_go_on() -> None:
    calls = Calls()
    timers = calls.noting("timeout")
    timers.run()
    timers.pause()
    await turns()
    assert calls == []
    timers.run()
    await turns()
    assert calls == ["timeout"]


async def test_a_deadline_that_is_past_passes_at_once() -> None:
    calls = Calls()
    timers = calls.noting("timeout")
    timers.watch("a", PAST, lambda: calls.append("a"))
    timers.watch("b", PAST, lambda: calls.append("b"))
    timers.settle("b")
    await turns()
    assert calls == ["a"]


async def test_timers_that_were_stopped_call_nothing() -> None:
    calls = Calls()
    timers = calls.noting("timeout")
    timers.run()
    timers.watch("a", PAST, lambda: calls.append("a"))
    timers.stop()
    timers.stop()
    await turns()
    assert calls == []


async def test_who_has_a_clock_that_stopped_is_free_without_a_garbage_collection() -> None:
    class Run:
        def __init__(self) -> None:
            self.timers = RunTimers(60.0, self.end)

        def end(self) -> None:
            self.timers.stop()

    gc.disable()
    try:
        run = Run()
        run.timers.run()
        run.end()
        left = weakref.ref(run)
        del run
        assert left() is None
    finally:
        gc.enable()
