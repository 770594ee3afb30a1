"""Work that nobody waits for: what fails ends nothing else, and ending it has a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
from django.db import OperationalError

from agents.runtime import background
from agents.runtime.background import Background

PATIENCE_S = 30.0


@pytest.fixture
async def works() -> AsyncIterator[Background]:
    works = Background()
    yield works
    await works.stop()


async def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [OperationalError("away"), ValueError("wrong"), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
async def test_a_failure_ends_neither_its_own_repetition_nor_another(
    works: Background, error: BaseException
) -> None:
    counted = {"failing": asyncio.Semaphore(0), "sound": asyncio.Semaphore(0)}

    async def fail_again() -> None:
        counted["failing"].release()
        await fail(error)

    async def go_on() -> None:
        counted["sound"].release()

    works.repeat(0, fail_again)
    works.repeat(0, go_on)
    async with asyncio.timeout(PATIENCE_S):
        for semaphore in [*counted.values()] * 3:
            await semaphore.acquire()


async def test_a_failure_of_work_without_a_name_does_not_end_its_repetition(
    works: Background,
) -> None:
    has_run = asyncio.Semaphore(0)

    async def fail_again(error: Exception) -> None:
        has_run.release()
        raise error

    works.repeat(0, partial(fail_again, ValueError("wrong")))
    works.repeat(0, partial(fail_again, OperationalError("away")))
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(6):
            await has_run.acquire()


async def test_what_is_due_is_done_at_once(works: Background) -> None:
    has_run = asyncio.Event()

    async def work() -> None:
        has_run.set()

    works.repeat(1_000_000, work, is_due=True)
    async with asyncio.timeout(PATIENCE_S):
        await has_run.wait()


async def test_the_stop_ends_what_runs_and_may_be_called_twice(works: Background) -> None:
    runs, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    works.start(work())
    await runs.wait()
    await works.stop()
    await works.stop()
    assert ended.is_set()


async def test_the_stop_waits_only_so_long_for_what_minds_no_cancel(
    works: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "STOP_S", 0.05)
    may_end, runs = asyncio.Event(), asyncio.Event()

    async def mind_nothing(until: Callable[[], bool]) -> None:
        runs.set()
        while not until():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue

    works.start(mind_nothing(may_end.is_set))
    await runs.wait()
    async with asyncio.timeout(PATIENCE_S):
        await works.stop()
    may_end.set()
