"""One run, seen from the main loop: its steps become log entries, and it ends exactly once.

Whatever ends a run – its answer, an error, a cancel, a time-out – goes through
`_end`, which writes the open calls' results and the terminal entry together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from django.conf import settings

from agents import entries
from agents.agent_loop import AgentLoop
from agents.bridge import Bridge, CutOff, Stopped, Task
from agents.clock import Clock
from agents.entries import Entry, RunRef
from agents.fold import CallState, History, RunState
from agents.journal import Outcome, RowRefused
from agents.models import Run
from agents.sentences import say, say_why
from myagent.agent import Runnable
from myagent.messages import ChatMessage
from myagent.models.base import ModelError
from myagent.protocol import ErrorCode
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Decision,
    Step,
    Thought,
    ToolFinished,
    ToolStarted,
    ToolStatus,
)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends: its status, and the terminal entry."""

    status: Run.Status
    entry: Entry


class Owner(Protocol):
    """The session that a run belongs to."""

    session_id: str
    lang: str
    history: History

    async def agent(self) -> Runnable:
        """The session's agent. Awaited on the agent loop."""

    def log(self, entries: Sequence[Entry], done: Callable[[Outcome], None]) -> None: ...

    def end_run(self, execution: Execution, entries: Sequence[Entry], ending: Ending) -> None: ...

    def show_thinking(self, step: int) -> None: ...

    def show_text(self, execution: Execution, offset: int, text: str) -> None: ...


class Execution:
    """A run that this process carries out. Its methods belong to the main loop.

    `state` is the fold of its entries so far. After `is_ended` nothing of the
    run enters the log any more.
    """

    def __init__(
        self,
        owner: Owner,
        agents: AgentLoop,
        ref: RunRef,
        *,
        state: RunState | None = None,
        started_at: datetime | None = None,
    ) -> None:
        self.ref = ref
        self.state = state or RunState()
        self.step = self.state.step
        self.text = ""
        self.is_ended = False
        self._owner = owner
        self._bridge = Bridge(agents, self)
        self._started_at = started_at or datetime.now(UTC)
        self._stopping: Run.Status | None = None
        self._has_started = False
        self._clock = Clock(settings.MYAGENT_RUN_TIMEOUT_S, self._time_out)
        self._abandonment: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether somebody is asked for a confirmation."""
        return bool(self.state.waiting) and not self._stopping

    @property
    def is_stopping(self) -> bool:
        return self._stopping is not None

    def start(self, *, is_continued: bool = False) -> None:
        """Starts the run, or continues it where `state` says."""
        assert not self._has_started, "a run is started once"
        self._has_started = True
        for call in self.state.waiting:
            self._watch_deadline(call)
        self._set_clock()
        task = Task(
            self._owner.agent, self._owner.history.messages(), self.state.resume(), is_continued
        )
        self._bridge.start(task)

    def cancel(self) -> None:
        """Asks the run to stop; it ends as interrupted soon, with or without its consent."""
        self._stop(Run.Status.INTERRUPTED)

    def leave(self) -> None:
        """Stops without an end: another process, or this one later, continues from the log."""
        self._quiet()
        self._bridge.cancel()

    def decide(self, step_id: str, decision: Decision) -> None:
        """Passes on a decision that is in the log."""
        self._clock.settle(step_id)
        self._set_clock()
        self._bridge.decide(step_id, decision)

    def kill(self) -> None:
        """Ends a run at which the process ended again and again."""
        self._end(self._failure("agent_error", say(self._owner.lang, "agent_kills")))

    # What the agent's side tells.

    def on_step_started(self, step: int) -> None:
        if self.is_ended or self._stopping:
            return
        self.step, self.text = step, ""
        self._owner.show_thinking(step)

    def on_text(self, step: int, text: str) -> None:
        if self.is_ended or self._stopping:
            return
        if step != self.step:
            self.step, self.text = step, ""
        offset = len(self.text)
        self.text += text
        self._owner.show_text(self, offset, text)

    def on_steps(self, steps: Sequence[Step], bridge: Bridge) -> None:
        try:
            self._take_steps(steps, bridge)
        except Exception as error:
            # Steps that fit no run: an agent of somebody else's made them.
            bridge.refuse()
            self.on_stopped(Stopped(error))

    def _take_steps(self, steps: Sequence[Step], bridge: Bridge) -> None:
        last = steps[-1]
        is_late = self._stopping and not isinstance(last, ToolFinished)
        if self.is_ended or is_late:
            bridge.refuse()
            if not self.is_ended and isinstance(last, Answer):
                self._end_stopped()
            return
        logged = [self._entry(step) for step in steps]
        if isinstance(last, Answer):
            self._end(Ending(Run.Status.ANSWERED, logged.pop()), logged)
        else:
            self._apply(logged)
            self._owner.log(logged, lambda outcome: self._on_logged(logged, outcome))

    def on_stopped(self, outcome: Stopped) -> None:
        if self.is_ended:
            return
        if self._stopping:
            self._end_stopped()
            return
        error = outcome.error
        if error is None:
            return  # Its steps were refused: who refused them ends the run.
        lang = self._owner.lang
        if isinstance(error, ModelError):
            logger.warning("model_failed", run_id=self.ref.run_id, error=str(error))
            sentence = say_why(lang, error)
            self._end(self._failure("model_error", sentence, is_retryable=error.is_retryable))
        elif isinstance(error, CutOff):
            self._end(self._failure("agent_error", say(lang, "agent_gone"), is_retryable=True))
        else:
            logger.error("agent_failed", run_id=self.ref.run_id, exc_info=error)
            self._end(self._failure("agent_error", say(lang, "agent_error")))

    # Inside.

    def _entry(self, step: Step) -> Entry:
        lang = self._owner.lang
        match step:
            case Thought():
                return entries.thinking(step, self.ref)
            case ConfirmationAsked():
                timeout_s = min(step.timeout_s, settings.MYAGENT_CONFIRM_TIMEOUT_S)
                return entries.user_confirm(step, self.ref, lang, timeout_s)
            case ToolStarted():
                return entries.tool_call(step, self.ref, lang)
            case ToolFinished():
                return entries.tool_result(step, self.ref)
            case Answer():
                return entries.final_answer(step, self.ref, self.age_ms)
        raise TypeError(f"not a durable step: {step!r}")

    def _on_logged(self, written: Sequence[Entry], outcome: Outcome) -> None:
        if self.is_ended or isinstance(outcome, Exception):
            self._bridge.refuse()
            if isinstance(outcome, RowRefused) and not self.is_ended:
                self.state.take_back(entry.fact(datetime.now(UTC)) for entry in written)
                sentence = say(self._owner.lang, "internal_error")
                self._end(self._failure("internal_error", sentence))
        else:
            self._bridge.accept()

    def _apply(self, written: Sequence[Entry]) -> None:
        """Folds entries as they are handed to the journal: it keeps their order."""
        for entry in written:
            self.state.apply(entry.fact(datetime.now(UTC)))
            if entry.event == "agent.thinking":
                self.text = ""
            elif entry.event == "agent.user_confirm":
                self._watch_deadline(self.state.calls[entry.step_id])
                self._set_clock()

    def on_response(self, entry: Entry) -> None:
        """A response to one of this run's questions is on its way into the log."""
        self._apply([entry])

    def on_response_refused(self, step_id: str) -> None:
        """It can't be stored: the question stands, until its deadline."""
        if not (self.is_ended or self._stopping):
            call = self.state.calls[step_id]
            call.decision = None
            self._watch_deadline(call)

    def _watch_deadline(self, call: CallState) -> None:
        self._clock.watch(call.call.id, call.deadline, lambda: self._pass_deadline(call))

    def _pass_deadline(self, call: CallState) -> None:
        if call.decision is not None:
            return  # It is on its way into the log.
        unanswered = Decision(False, feedback="Nobody answered in time.")
        call.decision = unanswered
        self.decide(call.call.id, unanswered)

    def _set_clock(self) -> None:
        """The run's time-out counts only while nobody is asked."""
        if self.state.waiting:
            self._clock.pause()
        elif not (self.is_ended or self._stopping):
            self._clock.run()

    def _time_out(self) -> None:
        self._stop(Run.Status.TIMED_OUT)

    def _stop(self, status: Run.Status) -> None:
        if self.is_ended or self._stopping:
            return
        self._stopping = status
        self._clock.stop()
        if not self._has_started:
            self._end_stopped()
            return
        self._bridge.cancel()
        loop = asyncio.get_running_loop()
        self._abandonment = loop.call_later(settings.MYAGENT_CANCEL_GRACE_S, self._abandon)

    def _abandon(self) -> None:
        if not self.is_ended:
            logger.warning("run_abandoned", run_id=self.ref.run_id)
            self._end_stopped()

    def _end_stopped(self) -> None:
        effects = [call.call.name for call in self.state.open_calls if call.has_started]
        lang = self._owner.lang
        if self._stopping == Run.Status.TIMED_OUT:
            timeout_s = settings.MYAGENT_RUN_TIMEOUT_S
            entry = entries.timed_out(self.ref, lang, timeout_s, effects)
        else:
            entry = entries.interrupted(self.ref, lang, effects, self.text)
        assert self._stopping is not None
        self._end(Ending(self._stopping, entry))

    def _failure(self, code: ErrorCode, sentence: str, *, is_retryable: bool = False) -> Ending:
        entry = entries.error(self.ref, code, sentence, is_retryable=is_retryable)
        return Ending(Run.Status.FAILED, entry)

    def _end(self, ending: Ending, before: Sequence[Entry] = ()) -> None:
        self._quiet()
        self._apply(before)
        closing = closing_results(self.state, self.ref)
        self._owner.end_run(self, [*before, *closing], ending)

    def _quiet(self) -> None:
        self.is_ended = True
        self._clock.stop()
        if self._abandonment is not None:
            self._abandonment.cancel()

    @property
    def age_ms(self) -> int:
        """Milliseconds since it started, in whichever process."""
        return max(0, round((datetime.now(UTC) - self._started_at).total_seconds() * 1000))


def closing_results(state: RunState, ref: RunRef) -> list[Entry]:
    """A result for every call that a run leaves open, so that the model's context stays whole."""
    return [entries.tool_result(_closing(call), ref) for call in state.open_calls]


def _closing(call: CallState) -> ToolFinished:
    status: ToolStatus = "unknown" if call.has_started else "cancelled"
    text = (
        "The run was stopped while this tool worked; whether it had its effect is not known."
        if call.has_started
        else "The run was stopped before this tool started."
    )
    call_id, name = call.call.id, call.call.name
    return ToolFinished(
        call_id, name, status, text, 0, ChatMessage("tool", text, tool_call_id=call_id)
    )
