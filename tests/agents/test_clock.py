"""A run's time-out stands still while somebody is asked; a question has a deadline of its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from agents.clock import Clock

PAST = datetime(2026, 1, 1, tzinfo=UTC)


class Calls(list[str]):
    """What was called."""

    def noting(self, name: str) -> Clock:
        return Clock(0.0, lambda: self.append(name))


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
