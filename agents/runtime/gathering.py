"""Questions that many ask at the same time, answered together: no timer, as in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from itertools import islice
from typing import Generic, TypeVar

from agents.runtime import background

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Gathering(Generic[K, V]):
    """While some are being answered, the next gather.

    So what is asked alone waits for nothing, and of a crowd all that have come
    meanwhile are answered together, `most` at a time. `together` gives the
    answers by question. Its methods belong to the event loop.
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
        # Others may have asked the same.
        return await asyncio.shield(answer)

    async def end(self) -> None:
        """Cancels what is being answered, and whoever waits. May be called twice."""
        if self._work is not None:
            await background.end([self._work])
            self._work = None
        # Where it was cancelled before it began, it has told nobody.
        for answer in self._asked.values():
            answer.cancel()
        self._asked.clear()

    async def _answer_all(self) -> None:
        # What is asked in the same moment comes along.
        await asyncio.sleep(0)
        some: dict[K, asyncio.Future[V | None]] = {}
        try:
            while self._asked:
                some = dict(islice(self._asked.items(), self._most))
                for question in some:
                    # Who asks again gets an answer of its own: it may be another by then.
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
                # Nobody may be there any more to be told.
                answer.exception()
            return
        for question, answer in some.items():
            answer.set_result(answers.get(question))
