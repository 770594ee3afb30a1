"""Agents for workers: they wait, disobey, or yield what they are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from myagent import create_react_agent
from myagent.agent import Runnable
from myagent.messages import ChatMessage
from myagent.models.base import Usage
from myagent.runnable import NOTHING_DONE
from myagent.steps import (
    Answer,
    Confirm,
    Resume,
    Step,
    StepStarted,
)
from myagent.testing import ScriptedModel
from myagent.worker.sessions import Source


async def echo() -> Runnable:
    model = ScriptedModel(lambda request: " | ".join(request.texts))
    return create_react_agent(model=model)


def scripted(*script: Any, **options: Any) -> Source:
    """Each session's agent gives the replies of the script."""

    async def make() -> Runnable:
        return create_react_agent(model=ScriptedModel(list(script)), **options)

    return make


class Waiting:
    """An agent that starts a step, then waits; it can be told to ignore that it is cancelled."""

    name = "waiting"
    max_steps = None
    is_idempotent = True

    def __init__(self, *, is_continuable: bool = True, is_stubborn: bool = False) -> None:
        self.is_continuable = is_continuable
        self.is_stubborn = is_stubborn
        self.go_on = asyncio.Event()

    async def run(
        self, history: Sequence[ChatMessage], *, confirm: Confirm, resume: Resume = NOTHING_DONE
    ) -> AsyncGenerator[Step, None]:
        yield StepStarted(1)
        while True:
            try:
                await self.go_on.wait()
                break
            except asyncio.CancelledError:
                if not self.is_stubborn:
                    raise
        yield Answer("done", 1, Usage())


class Agents:
    """Remembers the agents that were made."""

    def __init__(self, **options: Any) -> None:
        self.made: list[Waiting] = []
        self._options = options

    async def __call__(self) -> Runnable:
        self.made.append(Waiting(**self._options))
        return self.made[-1]


class Yielding:
    """An agent whose steps are given."""

    name = "yielding"
    max_steps = None
    is_continuable = False
    is_idempotent = False

    def __init__(self, *steps: Any) -> None:
        self.steps = steps

    async def run(
        self, history: Sequence[ChatMessage], *, confirm: Confirm, resume: Resume = NOTHING_DONE
    ) -> AsyncGenerator[Step, None]:
        for step in self.steps:
            yield step


def yielding(*steps: Any) -> Source:
    async def make() -> Runnable:
        return Yielding(*steps)

    return make
