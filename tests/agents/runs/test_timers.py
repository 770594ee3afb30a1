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


async def test_a_clock_that_is_paused_does_not_time_out_until_it_goes_on() -> None:
    calls = Calls()
    clock = calls.noting("timeout")
    clock.run()
    clock.pause()
    await turns()
    assert calls == []
    clock.run()
    await turns()
    assert calls == ["timeout"]


async def test_a_deadline_that_is_past_passes_at_once() -> None:
    calls = Calls()
    clock = calls.noting("timeout")
    clock.watch("a", PAST, lambda: calls.append("a"))
    clock.watch("b", PAST, lambda: calls.append("b"))
    clock.settle("b")
    await turns()
    assert calls == ["a"]


async def test_a_clock_that_was_stopped_calls_nothing() -> None:
    calls = Calls()
    clock = calls.noting("timeout")
    clock.run()
    clock.watch("a", PAST, lambda: calls.append("a"))
    clock.stop()
    clock.stop()
    await turns()
    assert calls == []


async def test_who_has_a_clock_that_stopped_is_free_without_a_garbage_collection() -> None:
    class Run:
        def __init__(self) -> None:
            self.clock = RunTimers(60.0, self.end)

        def end(self) -> None:
            self.clock.stop()

    gc.disable()
    try:
        run = Run()
        run.clock.run()
        run.end()
        left = weakref.ref(run)
        del run
        assert left() is None
    finally:
        gc.enable()
