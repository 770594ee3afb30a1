"""One run: sends an agent's steps over the link and receives the server's answers.

After sending a durable step it waits until the step is in the log. The last thought and the answer
are sent together, and nothing follows them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Protocol

from myagent import log_context, span_collection
from myagent.agent import Agent
from myagent.inner_spans import RunPlace
from myagent.messages import ChatMessage
from myagent.runnable import AgentError, Runnable
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Decision,
    Step,
    StepStarted,
    TextDelta,
    Thought,
    ToolFinished,
    ToolStarted,
)
from myagent.worker import step_log
from myagent.worker.codec import decode_from_worker, encode
from myagent.worker.endings import CutOff, StepsRefused, log_failure, stopped_by
from myagent.worker.framing import framed
from myagent.worker.protocol import (
    FromWorker,
    LinkError,
    Start,
    Stepping,
    Steps,
    StopKind,
    Stopped,
    Text,
)
from myagent.worker.text import TextFlow, as_far_as_it_fits

CANCEL_GRACE_S = 5.0
"""How long a run may go on after it was asked to stop, before it is abandoned."""

logger = logging.getLogger(__name__)


class Outlet(Protocol):
    """Where a run's frames go: the link that started it."""

    is_congested: bool
    runs: set[Run]

    def send(self, message: FromWorker) -> None:
        """Sends when the loop comes round.

        Raises `FrameTooLarge`, and what a value that has no JSON raises.
        """


class Run:
    """One attempt at a run. Its methods belong to the loop.

    It is over once the server was told its end, or need not be told any more;
    its code may still be tidying up then. `task` is that code.
    """

    task: asyncio.Task[None]

    def __init__(
        self,
        start: Start,
        history: Sequence[ChatMessage],
        outlet: Outlet,
        agent: Callable[[], Awaitable[Runnable]],
        on_over: Callable[[Run], None],
    ) -> None:
        self.key = start.key
        self.is_over = asyncio.Event()
        self.is_abandoned = False
        self._start = start
        self._history = history
        self._outlet = outlet
        self._agent = agent
        self._on_over = on_over
        self._has_begun = False
        self._is_told = False
        self._has_news = False
        self._asked: StopKind | None = None
        self._abandonment: asyncio.TimerHandle | None = None
        self._committed: asyncio.Future[None] | None = None
        self._decisions: dict[str, asyncio.Future[Decision]] = {}
        self._asking: set[str] = set()
        self._at_work = {call.call.id for call in start.resume.open_calls if call.has_started}
        self._is_draining = False
        self._may_move = False
        self._is_ours = False
        self._text = TextFlow(self._say_text, lambda: outlet.is_congested)
        outlet.runs.add(self)

    # What a server asks for.

    def begin(self, *, after: Iterable[Run] = ()) -> None:
        """Starts once the runs in `after`, which were asked to stop, are over."""
        self.task = asyncio.get_running_loop().create_task(self._drive(tuple(after)))

    def accept(self) -> None:
        """The last steps are in the log: the run may go on."""
        if self._committed is not None and not self._committed.done():
            self._committed.set_result(None)

    def refuse(self) -> None:
        """The last steps are not wanted: the run ends."""
        if self._committed is not None and not self._committed.done():
            self._committed.set_exception(StepsRefused())

    def decide(self, step_id: str, decision: Decision) -> None:
        future = self._decision(step_id)
        if not future.done():
            future.set_result(decision)

    def cancel(self, kind: StopKind = "cancelled") -> None:
        """Asks the run to stop; it is over soon, with or without its consent."""
        if self._asked is not None or self.is_over.is_set():
            return
        self._asked = kind
        loop = asyncio.get_running_loop()
        self._abandonment = loop.call_later(CANCEL_GRACE_S, self._abandon)
        # A task that is cancelled before its first step would never say that it stopped.
        if self._has_begun:
            self.task.cancel()

    def supersede(self) -> None:
        """A newer run of its session has come: nothing more is heard of this one."""
        self._tell(Stopped(self.key, "superseded"))
        self.cancel("superseded")

    def leave(self) -> None:
        """The link has ended: whoever dials next starts again from the log."""
        self._is_told = True
        self.cancel()

    def drain(self) -> None:
        """From now on the run stops as soon as all that it does is wait for somebody's yes."""
        self._is_draining = True
        self._move_if_waiting()

    def on_writable(self) -> None:
        """The link takes text again."""
        self._text.advance()

    # The agent's code.

    async def _drive(self, after: Sequence[Run]) -> None:
        self._has_begun = True
        start = self._start
        log_context.enter(self.key.session_id, start.run_id)
        span_collection.enter(RunPlace(start.run_id, start.run_attempt, start.traceparent))
        try:
            if self._asked is not None:
                raise asyncio.CancelledError
            for older in after:
                await older.is_over.wait()
            await self._carry_out()
        except GeneratorExit:
            raise  # The loop is closed: nobody is left to tell.
        except BaseException as error:
            self._stop_for(error)
        finally:
            self._text.stop()
        self._finish()

    async def _carry_out(self) -> None:
        agent = await self._agent()
        self._may_move = bool(agent.is_continuable or agent.is_idempotent)
        if self._start.is_continued and not self._may_move:
            raise CutOff
        # Not of a subclass: its steps may be its own.
        self._is_ours = type(agent) is Agent
        steps = agent.run(self._history, confirm=self._confirm, resume=self._start.resume)
        async with aclosing(steps):
            await self._pull(steps)

    async def _pull(self, steps: AsyncIterator[Step]) -> None:
        last_thought: list[Step] = []
        is_logged = step_log.is_on()
        async for step in steps:
            if is_logged:
                step_log.log_step(self.key.session_id, step)
            match step:
                case TextDelta(step=int(), text=str()):
                    self._text.add(step)
                case StepStarted(step=int()):
                    self._text.begin_step()
                    self._say(Stepping(self.key, step.step))
                case Thought() if not step.message.tool_calls:
                    # The answer follows at once: both go into the log together.
                    last_thought = [step]
                case Answer():
                    self._text.flush()
                    self._say(Steps(self.key, [*last_thought, as_far_as_it_fits(step)]))
                    self._is_told = True
                    self._finish()
                    return
                case _:
                    self._text.flush()
                    await self._commit(step)
            if self._has_news:
                # Out before the agent goes on: its code may block the loop.
                self._has_news = False
                await asyncio.sleep(0)
        raise AgentError("The agent ended without an answer.")

    async def _commit(self, step: Step) -> None:
        if self._is_told:
            raise StepsRefused
        self._committed = asyncio.get_running_loop().create_future()
        if isinstance(step, ToolStarted):
            self._at_work.add(step.step_id)
        self._say(Steps(self.key, [step]))
        await self._committed
        self._has_news = False
        if isinstance(step, ToolFinished):
            self._at_work.discard(step.step_id)
            self._move_if_waiting()

    async def _confirm(self, asked: ConfirmationAsked) -> Decision:
        decision = self._decision(asked.step_id)
        self._asking.add(asked.step_id)
        self._move_if_waiting()
        try:
            return await decision
        finally:
            self._asking.discard(asked.step_id)

    def _decision(self, step_id: str) -> asyncio.Future[Decision]:
        if step_id not in self._decisions:
            self._decisions[step_id] = asyncio.get_running_loop().create_future()
        return self._decisions[step_id]

    def _move_if_waiting(self) -> None:
        if self._is_draining and self._may_move and self._is_waiting:
            self.cancel("draining")

    @property
    def _is_waiting(self) -> bool:
        """Whether nothing would be lost by stopping here: it only waits for somebody's yes."""
        is_asking = bool(self._asking)
        has_news = any(self._decisions[step_id].done() for step_id in self._asking)
        is_writing = self._committed is not None and not self._committed.done()
        return is_asking and not (has_news or is_writing or self._at_work)

    # What is said.

    def _say(self, message: FromWorker) -> None:
        if self._is_told:
            return
        if isinstance(message, Steps) and not self._is_ours:
            _check(message)
        self._outlet.send(message)
        self._has_news = True

    def _say_text(self, step: int, text: str) -> None:
        self._say(Text(self.key, step, text))

    def _stop_for(self, error: BaseException) -> None:
        if self._is_told and self._asked is None:
            logger.warning("an agent failed to tidy up after its answer", exc_info=error)
        self._tell(stopped_by(error, self.key, self._asked))

    def _tell(self, stopped: Stopped) -> None:
        if not self._is_told:
            self._is_told = True
            log_failure(stopped, self._start.run_id)
            self._outlet.send(stopped)

    def _abandon(self) -> None:
        logger.warning("run_abandoned session_id=%s", self.key.session_id)
        self.is_abandoned = True
        self._tell(Stopped(self.key, self._asked or "cancelled"))
        self._finish()

    def _finish(self) -> None:
        if self.is_over.is_set():
            return
        self.is_over.set()
        if self._abandonment is not None:
            self._abandonment.cancel()
        self._outlet.runs.discard(self)
        self._on_over(self)


def _check(message: FromWorker) -> None:
    """Reads back what is not made by our own loop. Raises `AgentError` and `FrameTooLarge`.

    An agent may yield steps of our types with anything in them; the server
    would not read such a frame, nor have anything to say why.
    """
    data = encode(message)
    framed(data)
    try:
        decode_from_worker(data)
    except LinkError as error:
        raise AgentError("The agent yielded a step with values that no step has.") from error
