"""One run: a worker carries it out, its steps become log entries, and it ends exactly once.

Whatever ends a run – its answer, an error, a cancel, a time-out – goes through
`_end`, which writes the open calls' results and the terminal entry together. A
worker that ends does not: the run goes on from its entries on another.

Longer than other modules: what a run does next depends on its worker, on its end
and on what is on its way into the log at once, so these are told in one place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
from django.conf import settings

from agents.log import entries
from agents.log.closing import closing_results
from agents.log.entry import Entry, RunRef
from agents.log.fold import CallState, Fact, History, RunState
from agents.log.journal import Outcome, RowRefused
from agents.models import Run
from agents.runs import endings
from agents.runs.attempts import Attempt
from agents.runs.blame import Blame
from agents.runs.endings import Ending
from agents.runs.link import Link
from agents.runs.timers import RunTimers
from agents.runs.workers import Pool, Why
from agents.runtime import logs
from myagent.protocol import ErrorCode
from myagent.steps import Answer, Decision, Step, ToolFinished
from myagent.worker.protocol import LinkError, RunKey, Stopped
from myagent.worker.text import MAX_ANSWER_BYTES

logger = structlog.get_logger(__name__)


class Owner(Protocol):
    """The session that a run belongs to."""

    session_id: str
    lang: str
    history: History
    pool: Pool
    """The workers of the session's service."""
    worker: Link | None
    """The one that the session's runs go to while it lives: its agent may keep state."""

    def next_key(self) -> RunKey:
        """The key of the next attempt at a run."""

    def log(self, entries: Sequence[Entry], done: Callable[[Outcome], None]) -> None: ...

    def end_run(self, execution: Execution, entries: Sequence[Entry], ending: Ending) -> None: ...

    def show_thinking(self, step: int) -> None: ...

    def show_text(self, execution: Execution, offset: int, text: str) -> None: ...

    def show_notice(self, code: str) -> None:
        """Tells the session's sockets, in passing, how the run fares."""


class Execution:
    """A run that this process sees to. Its methods belong to the event loop.

    `state` is the fold of its entries so far. After `is_ended` nothing of the
    run enters the log any more.
    """

    def __init__(
        self,
        owner: Owner,
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
        self._attempt: Attempt | None = None
        self._blame = Blame()
        self._writing = 0
        self._is_continued = False
        self._is_adrift = False
        """The session's sockets were told that the run waits for a worker."""
        self._started_at = started_at or datetime.now(UTC)
        self._stopping: Run.Status | None = None
        self._has_started = False
        self._timers = RunTimers(settings.MYAGENT_RUN_TIMEOUT_S, self._time_out)
        self._abandonment: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether somebody is asked for a confirmation."""
        return bool(self.state.waiting) and not self._stopping

    @property
    def is_stopping(self) -> bool:
        return self._stopping is not None

    @property
    def is_suspect(self) -> bool:
        """Whether it may be what kills workers: then it meets none of its kind on one."""
        return self._blame.is_suspect

    def start(self, *, is_continued: bool = False) -> None:
        """Starts the run, or continues it where `state` says."""
        assert not self._has_started, "a run is started once"
        self._has_started = True
        self._is_continued = is_continued
        for call in self.state.waiting:
            self._watch_deadline(call)
        self._set_timers()
        self._go_on("waiting")

    def cancel(self) -> None:
        """Asks the run to stop; it ends as interrupted soon, with or without its consent."""
        self._stop(Run.Status.INTERRUPTED)

    def leave(self) -> None:
        """Stops without an end: another process, or this one later, continues from the log."""
        if self._attempt is not None:
            self._attempt.cancel()
        self._quiet()

    def decide(self, step_id: str, decision: Decision) -> None:
        """Passes on a decision that is in the log."""
        self._timers.settle(step_id)
        self._set_timers()
        if self._attempt is not None:
            self._set_quarantine(self._attempt)
            self._attempt.decide(step_id, decision)
        elif not (self.is_ended or self._stopping):
            self._go_on("continuing")

    # Its way to a worker.

    def _go_on(self, notice: str) -> None:
        """Goes to a worker, unless it can't make use of one yet.

        That is while steps are on their way into the log, from which it goes
        on, and while all that is open waits for people.
        """
        if self._writing or self._is_all_waiting:
            return
        self._owner.pool.place(self, self._owner.worker)
        if self._attempt is None and not (self.is_ended or self._is_adrift):
            self._is_adrift = True
            self._owner.show_notice(notice)

    @property
    def _is_all_waiting(self) -> bool:
        """Whether nothing can happen before somebody answers."""
        calls = self.state.open_calls
        return bool(calls) and all(call.is_waiting for call in calls)

    def on_placed(self, link: Link) -> None:
        if self.is_ended or self._attempt is not None:
            return
        self._begin_on(link)
        if self._is_adrift:
            self._is_adrift = False
            self._owner.show_notice("continued")

    def on_unplaced(self, why: Why) -> None:
        if self.is_ended or self._attempt is not None:
            return
        if why == "stopped":
            self._stopping = Run.Status.INTERRUPTED
            self._end_stopped()
            return
        self._fail("service_unavailable", "no_worker", is_retryable=True)

    def _begin_on(self, link: Link) -> None:
        owner = self._owner
        owner.worker = link
        if logs.is_debug():
            logger.debug("run_begins", **self._names(), pid=link.pid)
        self._attempt = link.start(
            owner.next_key(),
            owner.history,
            self.state.resume(),
            self,
            is_continued=self._is_continued,
        )
        self._set_quarantine(self._attempt)

    def _set_quarantine(self, attempt: Attempt) -> None:
        # One that only waits for people kills nothing, and may wait for long.
        attempt.is_quarantined = self.is_suspect and not self._is_all_waiting

    def on_history_needed(self) -> None:
        link = self._owner.worker
        if self._may_go_on() and link is not None:
            self._begin_on(link)

    def on_lost(self, attempt: Attempt, *, has_died: bool) -> None:
        if self._attempt is not attempt:
            return
        if not self._may_go_on():
            return
        self._is_continued = True
        if has_died and not self._is_all_waiting:
            self._blame.note_death()
        if self._blame.is_guilty:
            logger.error("run_kills_workers", run_id=self.ref.run_id)
            self._fail("agent_error", "agent_kills")
            return
        self._is_adrift = True
        self._owner.show_notice("continuing")
        self._go_on("continuing")

    def _may_go_on(self) -> bool:
        """The attempt is over. False: so is the run, which ends now if it was to stop."""
        self._attempt = None
        if self._stopping and not self.is_ended:
            self._end_stopped()
        return not self.is_ended

    # What the worker tells.

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
        if offset + len(text) > MAX_ANSWER_BYTES:
            raise LinkError(f"a step with more than {MAX_ANSWER_BYTES} characters of text")
        self.text += text
        self._owner.show_text(self, offset, text)

    def on_steps(self, steps: Sequence[Step], attempt: Attempt) -> None:
        last = steps[-1]
        is_late = self._stopping and not isinstance(last, ToolFinished)
        if self._attempt is not attempt:
            attempt.refuse()
            return
        if self.is_ended or is_late:
            attempt.refuse()
            if not self.is_ended and isinstance(last, Answer):
                self._end_stopped()
            return
        if self._writing:
            raise LinkError("steps before the last were answered")
        lang, age_ms = self._owner.lang, self.age_ms
        logged = [entries.of_step(step, self.ref, lang, age_ms) for step in steps]
        if isinstance(last, Answer):
            self._end(Ending(Run.Status.ANSWERED, logged.pop()), logged)
        else:
            self._apply(logged)
            self._writing += 1
            self._owner.log(logged, lambda outcome: self._on_logged(logged, outcome, attempt))

    def on_stopped(self, stopped: Stopped) -> None:
        if not self._may_go_on():
            return
        match stopped.kind:
            case "refused" | "superseded":
                return  # Who refused its steps ends the run; so does who has the session now.
            case "draining":
                # Of those that have begun, only runs that wait for people are sent away.
                self._is_continued |= bool(self.state.waiting)
                self._go_on("continuing")
            case kind:
                log = logger.warning if kind == "model_error" else logger.error
                log("run_failed", run_id=self.ref.run_id, how=kind, error=stopped.gist)
                self._end(endings.failed_in_worker(self.ref, self._owner.lang, stopped))

    def on_broken(self, error: Exception) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt.done()
        if not self._may_go_on():
            return
        self._fail("agent_error" if isinstance(error, LinkError) else "internal_error")

    # Inside.

    def _on_logged(self, written: Sequence[Entry], outcome: Outcome, attempt: Attempt) -> None:
        self._writing -= 1
        if self.is_ended or isinstance(outcome, Exception):
            attempt.refuse()
            if isinstance(outcome, RowRefused) and not self.is_ended:
                self.state.take_back(entry.fact(datetime.now(UTC)) for entry in written)
                self._fail("internal_error")
            return
        self._blame.note_logged(written, is_step_done=not self.state.open_calls)
        if self._attempt is attempt:
            self._set_quarantine(attempt)
            attempt.accept()
            self._owner.pool.note_room()
        elif self._attempt is None and not self._stopping:
            # The worker ended meanwhile: the run goes on behind what is now in the log.
            self._go_on("continuing")

    def _apply(self, written: Sequence[Entry]) -> None:
        """Folds entries as they are handed to the journal: it keeps their order.

        Raises `LinkError` if they fit no run; then they are not in the fold.
        """
        applied: list[Fact] = []
        for entry in written:
            fact = entry.fact(datetime.now(UTC))
            try:
                _take(self.state, fact)
            except LinkError:
                self.state.take_back(applied)
                raise
            applied.append(fact)
            if entry.event == "agent.thinking":
                self.text = ""
            elif entry.event == "agent.user_confirm":
                self._watch_deadline(self.state.calls[entry.step_id])
                self._set_timers()

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
        self._timers.watch(call.call.id, call.deadline, lambda: self._pass_deadline(call))

    def _pass_deadline(self, call: CallState) -> None:
        if call.decision is not None:
            return  # It is on its way into the log.
        unanswered = Decision(False, feedback="Nobody answered in time.")
        call.decision = unanswered
        self.decide(call.call.id, unanswered)

    def _set_timers(self) -> None:
        """The run's time-out counts only while nobody is asked."""
        if self.state.waiting:
            self._timers.pause()
        elif not (self.is_ended or self._stopping):
            self._timers.run()

    def _time_out(self) -> None:
        self._stop(Run.Status.TIMED_OUT)

    def _stop(self, status: Run.Status) -> None:
        if self.is_ended or self._stopping:
            return
        self._stopping = status
        self._timers.stop()
        if self._attempt is None:
            self._end_stopped()
            return
        self._attempt.cancel()
        loop = asyncio.get_running_loop()
        self._abandonment = loop.call_later(settings.MYAGENT_CANCEL_GRACE_S, self._abandon)

    def _abandon(self) -> None:
        if not self.is_ended:
            logger.warning("run_abandoned", run_id=self.ref.run_id)
            self._end_stopped()

    def _end_stopped(self) -> None:
        assert self._stopping is not None
        lang = self._owner.lang
        self._end(endings.stopped_by(self._stopping, self.ref, lang, self.state, self.text))

    def _fail(self, code: ErrorCode, sentence: str = "", *, is_retryable: bool = False) -> None:
        lang = self._owner.lang
        self._end(endings.failed(self.ref, lang, code, sentence, is_retryable=is_retryable))

    def _end(self, ending: Ending, before: Sequence[Entry] = ()) -> None:
        # First what may raise: the steps may fit no run.
        self._apply(before)
        self._quiet()
        closing = closing_results(self.state, self.ref, datetime.now(UTC))
        if logs.is_debug():
            status, duration_ms = ending.status.value, self.age_ms
            logger.debug("run_ended", **self._names(), status=status, duration_ms=duration_ms)
        self._owner.end_run(self, [*before, *closing], ending)

    def _names(self) -> dict[str, str]:
        """For the log."""
        return {"session_id": self._owner.session_id, "run_id": self.ref.run_id}

    def _quiet(self) -> None:
        self.is_ended = True
        self._timers.stop()
        if self._abandonment is not None:
            self._abandonment.cancel()
        if self._attempt is not None:
            self._attempt.done()
            self._attempt = None
        self._owner.pool.withdraw(self)
        self._owner.pool.note_room()

    @property
    def age_ms(self) -> int:
        """Milliseconds since it started, in whichever process."""
        return max(0, round((datetime.now(UTC) - self._started_at).total_seconds() * 1000))


def _take(state: RunState, fact: Fact) -> None:
    """Applies it. Raises `LinkError` if it is of a call that there is not, or is a second result.

    A second one would spoil the model's memory, as would one without its call.
    """
    if fact.event == "agent.tool_result":
        call = state.calls.get(fact.step_id)
        if call is not None and call.is_finished:
            raise LinkError(f"a second result of a call: {fact.step_id!r}")
    try:
        state.apply(fact)
    except KeyError as error:
        raise LinkError(f"a step of a call that there is not: {error}") from error
