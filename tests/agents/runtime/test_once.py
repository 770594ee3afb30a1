"""What is to be done once is finished, though its caller gives up."""

from __future__ import annotations

import asyncio

import pytest

from agents.runtime.once import Once

PATIENCE_S = 30.0


class Work:
    """Counts its attempts; each waits until it may go on, and the first may fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.begun = self.done = 0
        self.may_go_on = asyncio.Event()
        self._fails = fails

    async def __call__(self) -> None:
        self.begun += 1
        await self.may_go_on.wait()
        if self._fails and self.begun == 1:
            raise ValueError("wrong")
        self.done += 1


async def test_it_is_done_once_however_often_it_is_asked_for() -> None:
    work = Work()
    once = Once(work)
    work.may_go_on.set()
    await asyncio.gather(once(), once())
    await once()
    assert (work.begun, work.done) == (1, 1)


async def test_who_calls_after_a_cancelled_caller_waits_until_it_is_done() -> None:
    work = Work()
    once = Once(work)
    first = asyncio.create_task(once())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = asyncio.create_task(once())
    await asyncio.sleep(0)
    assert first.cancelled()
    assert not second.done()
    work.may_go_on.set()
    async with asyncio.timeout(PATIENCE_S):
        await second
    assert (work.begun, work.done) == (1, 1)


async def test_what_failed_is_begun_anew() -> None:
    work = Work(fails=True)
    once = Once(work)
    work.may_go_on.set()
    with pytest.raises(ValueError, match="wrong"):
        await once()
    await once()
    assert (work.begun, work.done) == (2, 1)
