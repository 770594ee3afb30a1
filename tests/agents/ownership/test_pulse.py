"""Another thread can tell whether the event loop moves."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from agents.ownership.pulse import LoopEnded, Pulse

PATIENCE_S = 30.0


async def test_a_loop_that_moves_answers_with_what_it_prepared() -> None:
    answers = iter([1, 2])
    pulse = Pulse(lambda: next(answers))
    assert pulse.prepared == 1
    asked_at = time.monotonic()
    await asyncio.to_thread(pulse.ask, PATIENCE_S)
    assert pulse.prepared == 2
    assert pulse.moved_at >= asked_at


async def test_a_loop_that_stands_still_is_waited_for_in_vain_and_asked_once() -> None:
    answers = iter([1, 2])
    pulse = Pulse(lambda: next(answers))
    moved_at = pulse.moved_at

    def ask_twice() -> None:
        pulse.ask(0.01)
        pulse.ask(0.01)

    asking = threading.Thread(target=ask_twice)
    asking.start()
    # The loop stands still meanwhile.
    asking.join(PATIENCE_S)
    assert (pulse.moved_at, pulse.prepared) == (moved_at, 1)
    await asyncio.sleep(0)
    assert pulse.moved_at > moved_at
    assert pulse.prepared == 2


def test_a_loop_that_has_ended_is_told_from_one_that_stands_still() -> None:
    async def create() -> Pulse[None]:
        return Pulse(lambda: None)

    pulse = asyncio.run(create())
    with pytest.raises(LoopEnded):
        pulse.ask(PATIENCE_S)
