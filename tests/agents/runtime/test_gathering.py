"""What many ask at once is answered together; who asks alone waits for nobody."""

from __future__ import annotations

import asyncio

import pytest

from agents.runtime.gathering import Gathering

MOST = 3


class Oracle:
    """Doubles numbers, odd ones only; `asked` is what came together. Waits while it is held."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.has_begun = asyncio.Event()
        self.error: Exception | None = None
        self.gathering = Gathering(self.answer, MOST)

    async def answer(self, questions: list[int]) -> dict[int, int]:
        self.asked.append(questions)
        self.has_begun.set()
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return {question: 2 * question for question in questions if question % 2}

    async def ask(self, *questions: int) -> list[int | None]:
        async with asyncio.timeout(30):
            return await asyncio.gather(*map(self.gathering.ask, questions))


async def test_what_is_asked_in_the_same_moment_is_answered_together() -> None:
    oracle = Oracle()
    assert await oracle.ask(1, 2, 3) == [2, None, 6]
    assert oracle.asked == [[1, 2, 3]]


async def test_more_than_the_most_take_turns() -> None:
    oracle = Oracle()
    assert await oracle.ask(1, 3, 5, 7, 9) == [2, 6, 10, 14, 18]
    assert oracle.asked == [[1, 3, 5], [7, 9]]


async def test_while_some_are_answered_the_next_gather() -> None:
    oracle = Oracle()
    oracle.may_answer.clear()
    first = asyncio.create_task(oracle.ask(1))
    await oracle.has_begun.wait()
    others = [asyncio.create_task(oracle.ask(number)) for number in (3, 5)]
    await asyncio.sleep(0)
    oracle.may_answer.set()
    await asyncio.gather(first, *others)
    assert oracle.asked == [[1], [3, 5]]


async def test_the_same_question_is_asked_once_but_anew_after_its_answer_was_begun() -> None:
    oracle = Oracle()
    assert await oracle.ask(1, 1) == [2, 2]
    oracle.may_answer.clear()
    oracle.has_begun.clear()
    first = asyncio.create_task(oracle.ask(1))
    await oracle.has_begun.wait()
    second = asyncio.create_task(oracle.ask(1))
    await asyncio.sleep(0)
    oracle.may_answer.set()
    await asyncio.gather(first, second)
    assert oracle.asked == [[1], [1], [1]]


async def test_a_failure_is_everybodys_who_asked_then_and_nobodys_later() -> None:
    oracle = Oracle()
    oracle.error = RuntimeError("out of order")
    results = await asyncio.gather(*map(oracle.gathering.ask, (1, 3)), return_exceptions=True)
    assert results == [oracle.error, oracle.error]
    oracle.error = None
    assert await oracle.ask(5) == [10]


async def test_who_does_not_wait_any_more_costs_the_others_nothing() -> None:
    oracle = Oracle()
    oracle.may_answer.clear()
    waiting = [asyncio.create_task(oracle.ask(1)) for _ in range(2)]
    await oracle.has_begun.wait()
    waiting[0].cancel()
    await asyncio.sleep(0)
    oracle.may_answer.set()
    assert await waiting[1] == [2]


async def test_at_the_end_nobody_is_left_waiting() -> None:
    oracle = Oracle()
    oracle.may_answer.clear()
    begun = asyncio.create_task(oracle.gathering.ask(1))
    await oracle.has_begun.wait()
    gathered = asyncio.create_task(oracle.gathering.ask(3))
    await asyncio.sleep(0)
    await oracle.gathering.end()
    await oracle.gathering.end()
    for task in begun, gathered:
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_one_that_is_ended_before_it_has_begun_leaves_nobody_waiting_either() -> None:
    oracle = Oracle()
    asked = asyncio.create_task(oracle.gathering.ask(1))
    await asyncio.sleep(0)
    await oracle.gathering.end()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert await oracle.ask(3) == [6]
