"""One run's way across the two loops: steps to the main loop, decisions to the agent's.

The agent's side pulls the run's steps; each durable one crosses and waits
until it is in the log. Text crosses on its own, put together so that a
session gets at most one frame every `TEXT_INTERVAL_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from agents.agent_loop import AgentLoop
from myagent.agent import Runnable
from myagent.messages import ChatMessage
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Decision,
    Resume,
    Step,
    StepStarted,
    TextDelta,
    Thought,
)
from myagent.tool.text import cut

TEXT_INTERVAL_S = 0.03

MAX_ANSWER_BYTES = 512 * 1024
"""UTF-8 that a client is sent of an answer: many refuse frames above 1 MiB."""


class RunAbandoned(Exception):
    """The run has ended without the agent: its steps are no longer wanted."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run's code has come to its end without an answer. `error` None: it was cancelled."""

    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Task:
    """What a run is to do. `agent` is awaited on the agent loop."""

    agent: Callable[[], Awaitable[Runnable]]
    history: Sequence[ChatMessage]
    resume: Resume
    is_continued: bool


class CutOff(Exception):
    """The run was cut off earlier, and this agent can neither continue nor start again."""


class Receiver(Protocol):
    """The main loop's side of a run. Called on the main loop, in order."""

    def on_steps(self, steps: Sequence[Step], bridge: Bridge) -> None:
        """Durable steps; answers with `bridge.accept()` or `bridge.refuse()`."""

    def on_step_started(self, step: int) -> None: ...

    def on_text(self, step: int, text: str) -> None: ...

    def on_stopped(self, outcome: Stopped) -> None: ...


class Bridge:
    """Create it on the main loop. `accept`, `refuse`, `decide`, `cancel` are the main loop's."""

    def __init__(self, agents: AgentLoop, receiver: Receiver) -> None:
        self._main = asyncio.get_running_loop()
        self._agents = agents
        self._receiver = receiver
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        self._has_begun = False
        self._committed: asyncio.Future[None] | None = None
        self._decisions: dict[str, asyncio.Future[Decision]] = {}
        self._text: list[str] = []
        self._text_step = 0
        self._room = MAX_ANSWER_BYTES
        self._flush_timer: asyncio.TimerHandle | None = None
        self._next_flush_at = 0.0

    # The main loop's side.

    def start(self, task: Task) -> None:
        self._agents.call(self._spawn, task)

    def accept(self) -> None:
        """The steps are in the log: the run may go on."""
        self._agents.call(self._resolve, None)

    def refuse(self) -> None:
        """The steps are not wanted: the run ends."""
        self._agents.call(self._resolve, RunAbandoned())

    def decide(self, step_id: str, decision: Decision) -> None:
        self._agents.call(self._resolve_decision, step_id, decision)

    def cancel(self) -> None:
        self._agents.call(self._cancel)

    # The agent loop's side.

    def _spawn(self, task: Task) -> None:
        self._task = asyncio.get_running_loop().create_task(self._drive(task))

    async def _drive(self, task: Task) -> None:
        self._has_begun = True
        outcome = Stopped(None)
        try:
            if self._is_cancelled:
                raise asyncio.CancelledError
            agent = await task.agent()
            if task.is_continued and not (agent.is_continuable or agent.is_idempotent):
                raise CutOff
            steps = agent.run(task.history, confirm=self._confirm, resume=task.resume)
            async with aclosing(steps):
                if await self._pull(steps):
                    return
            outcome = Stopped(RuntimeError("the agent ended without an answer"))
        except RunAbandoned:
            pass  # Said all the same: a run that was cancelled may wait for it.
        except asyncio.CancelledError as error:
            # Agent code can raise this by itself: only ours means 'cancelled'.
            outcome = Stopped(None if self._is_cancelled else error)
        except BaseException as error:
            outcome = Stopped(error)
        finally:
            self._drop_timer()
        self._to_main(self._receiver.on_stopped, outcome)

    async def _pull(self, steps: AsyncIterator[Step]) -> bool:
        """Whether the run came to its answer."""
        last_thought: list[Step] = []
        async for step in steps:
            match step:
                case TextDelta():
                    self._add_text(step)
                case StepStarted():
                    self._flush()
                    self._room = MAX_ANSWER_BYTES
                    self._to_main(self._receiver.on_step_started, step.step)
                case Thought() if not step.message.tool_calls:
                    # The answer follows at once: both go into the log together.
                    last_thought = [step]
                case Answer():
                    self._flush()
                    answer = _as_far_as_it_fits(step)
                    self._to_main(self._receiver.on_steps, [*last_thought, answer], self)
                    return True
                case _:
                    self._flush()
                    await self._commit([step])
        return False

    async def _commit(self, steps: Sequence[Step]) -> None:
        self._committed = asyncio.get_running_loop().create_future()
        self._to_main(self._receiver.on_steps, steps, self)
        await self._committed

    async def _confirm(self, asked: ConfirmationAsked) -> Decision:
        return await self._decision(asked.step_id)

    def _decision(self, step_id: str) -> asyncio.Future[Decision]:
        if step_id not in self._decisions:
            self._decisions[step_id] = asyncio.get_running_loop().create_future()
        return self._decisions[step_id]

    def _resolve_decision(self, step_id: str, decision: Decision) -> None:
        future = self._decision(step_id)
        if not future.done():
            future.set_result(decision)

    def _resolve(self, error: Exception | None) -> None:
        future = self._committed
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def _cancel(self) -> None:
        self._is_cancelled = True
        # A task that is cancelled before its first step would never say that it stopped.
        if self._task is not None and self._has_begun:
            self._task.cancel()

    def _add_text(self, delta: TextDelta) -> None:
        if delta.step != self._text_step:
            self._flush()
            self._text_step, self._room = delta.step, MAX_ANSWER_BYTES
        text, full_length = cut(delta.text, self._room)
        # What comes after a gap must not close it.
        self._room = 0 if full_length else self._room - len(text.encode())
        if not text:
            return
        self._text.append(text)
        loop = asyncio.get_running_loop()
        if self._flush_timer is not None:
            return
        if loop.time() >= self._next_flush_at:
            self._flush()
        else:
            self._flush_timer = loop.call_at(self._next_flush_at, self._flush)

    def _flush(self) -> None:
        self._drop_timer()
        if not self._text:
            return
        self._next_flush_at = asyncio.get_running_loop().time() + TEXT_INTERVAL_S
        text, self._text = "".join(self._text), []
        self._to_main(self._receiver.on_text, self._text_step, text)

    def _drop_timer(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None

    def _to_main(self, function: Callable[..., None], *args: object) -> None:
        # A closed main loop means that the process is leaving; the log knows the rest.
        if not self._main.is_closed():
            self._main.call_soon_threadsafe(function, *args)


def _as_far_as_it_fits(answer: Answer) -> Answer:
    text, full_length = cut(answer.text, MAX_ANSWER_BYTES)
    return replace(answer, text=text, full_length=full_length) if full_length else answer
