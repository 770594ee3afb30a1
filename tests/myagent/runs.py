"""Runs of an agent, for tests: the steps it yields, and who answers its questions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import TypeVar

from myagent.agent import Agent
from myagent.messages import ChatMessage
from myagent.steps import ConfirmationAsked, Decision, Resume, Step

HELLO = (ChatMessage("user", "hello"),)

T = TypeVar("T")


async def refuse_to_be_asked(asked: ConfirmationAsked) -> Decision:
    raise AssertionError(f"nobody should be asked about {asked.tool}")


class Approver:
    """Answers confirmations when the test says so; remembers what it was asked."""

    def __init__(self, *decisions: Decision) -> None:
        self.asked: list[ConfirmationAsked] = []
        self._decisions: asyncio.Queue[Decision] = asyncio.Queue()
        for decision in decisions:
            self.decide(decision)

    def decide(self, decision: Decision) -> None:
        self._decisions.put_nowait(decision)

    async def confirm(self, asked: ConfirmationAsked) -> Decision:
        self.asked.append(asked)
        return await self._decisions.get()


async def steps_of(
    agent: Agent,
    history: Sequence[ChatMessage] = HELLO,
    *,
    confirm=refuse_to_be_asked,
    resume: Resume | None = None,
) -> list[Step]:
    run = agent.run(history, confirm=confirm, resume=resume or Resume())
    async with aclosing(run) as steps:
        return [step async for step in steps]


def only(kind: type[T], steps: Sequence[Step]) -> list[T]:
    return [step for step in steps if isinstance(step, kind)]


def one(kind: type[T], steps: Sequence[Step]) -> T:
    (found,) = only(kind, steps)
    return found
