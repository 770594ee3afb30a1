"""Answers simultaneous questions in batches, without a timer, as the journal does.

See `Gathering`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from itertools import islice
from typing import Generic, TypeVar

from agents.runtime import background

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Gathering(Generic[K, V]):
    """While one batch is being answered, the next one is collected.

    So a single question does not wait, and questions that arrive during a batch are answered
    together, at most `most` at a time. `together` returns the answers by question. Its methods
    belong to the event loop.
    """

    def __init__(self, together: Callable[[list[K]], Awaitable[dict[K, V]]], most: int) -> None:
        self._together = together
        self._most = most
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._work: asyncio.Task[None] | None = None

    async def ask(self, question: K) -> V | None:
        """The answer, if there is one. Raises what `together` raises. Cancelling is safe."""
        loop = asyncio.get_running_loop()
        answer = self._asked.get(question)
        if answer is None:
            answer = self._asked[question] = loop.create_future()
            if self._work is None:
                self._work = loop.create_task(self._answer_all())
        # Others may have asked the same question.
        return await asyncio.shield(answer)

    async def end(self) -> None:
        """Cancels the current batch and all that wait. May be called twice."""
        if self._work is not None:
            await background.end([self._work])
            self._work = None
        # If it was cancelled before it started, nobody has been told.
        for answer in self._asked.values():
            answer.cancel()
        self._asked.clear()

    async def _answer_all(self) -> None:
        # Questions of the same moment are included.
        await asyncio.sleep(0)
        some: dict[K, asyncio.Future[V | None]] = {}
        try:
            while self._asked:
                some = dict(islice(self._asked.items(), self._most))
                for question in some:
                    # A later question gets a new answer: it may differ by then.
                    del self._asked[question]
                await self._answer(some)
        finally:
            self._work = None
            for answer in (*some.values(), *self._asked.values()):
                answer.cancel()
            self._asked.clear()

    async def _answer(self, some: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            answers = await self._together(list(some))
        except Exception as error:
            for answer in some.values():
                answer.set_exception(error)
                # The asker may be gone by now.
                answer.exception()
            return
        for question, answer in some.items():
            answer.set_result(answers.get(question))
