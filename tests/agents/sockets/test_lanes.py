"""Work has a task of its own where it waits; reading ends with all that was read, or an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agents.sockets.lanes import Lanes


def reading(*works: Callable[[], Awaitable[object]], then: Exception | None = None) -> Lanes:
    """Lanes whose reader takes each work, one a lane, and ends with an error."""
    remaining = list(enumerate(works))

    async def read() -> None:
        while lanes.is_reader and remaining:
            lane, work = remaining.pop(0)
            await lanes.take(str(lane), 0, work)
        if lanes.is_reader and then is not None:
            raise then

    lanes = Lanes(read)
    return lanes


async def test_a_time_limit_of_work_is_about_that_work_alone() -> None:
    done = []

    async def too_long() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            done.append("in time")

    async def next_to_it() -> None:
        done.append("at once")

    async with asyncio.timeout(30):
        await reading(too_long, next_to_it).run()
    assert done == ["at once", "in time"]


async def test_work_that_waits_again_and_again_is_carried_to_its_end() -> None:
    done = []

    async def work() -> None:
        for number in range(3):
            await asyncio.sleep(0)
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.001)
            except TimeoutError:
                done.append(number)

    await reading(work).run()
    assert done == [0, 1, 2]


@pytest.mark.parametrize("waits", [False, True])
async def test_a_failure_of_reading_cuts_off_what_is_under_way(*, waits: bool) -> None:
    cut_off = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut_off.append("work")
            raise

    works = [endless] if waits else []
    with pytest.raises(RuntimeError, match="unreadable"):
        async with asyncio.timeout(30):
            await reading(*works, then=RuntimeError("unreadable")).run()
    assert cut_off == ["work"] * waits


async def test_work_that_is_cancelled_from_elsewhere_ends_the_reading() -> None:
    async def cancelled() -> None:
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async with asyncio.timeout(30):
        await reading(cancelled, asyncio.Event().wait).run()


async def test_work_that_fails_holds_up_no_other() -> None:
    done = asyncio.Event()

    async def broken() -> None:
        raise RuntimeError("out of order")

    async def works() -> None:
        done.set()

    await reading(broken, works).run()
    assert done.is_set()
