"""One run: a worker carries it out, its steps become log entries, and it ends exactly once.

Whatever ends a run – its answer, an error, a cancel, a time-out – goes through `_end`, which writes
the results of open calls and the terminal entry together. The end of a worker does not end the run:
it continues from its entries on another worker, see `agents.runs.placement`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
from django.conf import settings

from agents.log import kinds
from agents.log.closing import closing_results
from agents.log.entry import Entry, RunRef
from agents.log.fold import RunState
from agents.log.journal import Outcome, RowRefused
from agents.log.writes import NextAttempt, RunFacts
from agents.models import Run
from agents.runs import endings
from agents.runs.applying import apply
from agents.runs.attempts import Attempt
from agents.runs.deadlines import UNANSWERED, Deadlines
from agents.runs.endings import Ending
from agents.runs.placement import Employer, Placement
from agents.runs.preview import Preview, Viewers
from agents.runtime import logs
from agents.runtime.durations import ms_between
from myagent.inner_spans import RunPlace
from myagent.protocol import ErrorCode
from myagent.steps import Answer, Decision, Step, ToolFinished
from myagent.worker.protocol import LinkError, Stopped

logger = structlog.get_logger(__name__)


class Owner(Employer, Viewers, Protocol):
    """The session that a run belongs to."""

    session_id: str
    lang: str

    def log(self, entries: Sequence[Entry], done: Callable[[Outcome], None]) -> None: ...

    def note_next_attempt(self, next_attempt: NextAttempt) -> None:
        """Writes down that a run goes on after an interruption."""

    def end_run(self, execution: Execution, entries: Sequence[Entry], ending: Ending) -> None: ...


class Execution:
    """A run that this process manages. Its methods belong to the event loop.

    `state` is the fold of its entries so far. After `is_ended` nothing of the run is written to the
    log any more. `attempt_number` counts how often it was begun, or continued after an
    interruption, here or by another server.
    """

    def __init__(
        self,
        owner: Owner,
        ref: RunRef,
        *,
        state: RunState | None = None,
        started_at: datetime | None = None,
        attempts: int = 1,
    ) -> None:
        self.ref = ref
        self.attempt_number = attempts
        self.state = state or RunState()
        self.preview = Preview(owner, ref.run_id, self.state.step)
        self.is_ended = False
        self._owner = owner
        self._placement = Placement(owner, self)
        self._writing = 0
        self._started_at = started_at or datetime.now(UTC)
        self._stopping: Run.Status | None = None
        self._has_started = False
        self._deadlines = Deadlines(
            self.state,
            settings.MYAGENT_RUN_TIMEOUT_S,
            on_timeout=self._time_out,
            on_unanswered=self._decline,
        )
        self._abandonment: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether somebody is asked for a confirmation."""
        return bool(self.state.waiting) and not self._stopping

    @property
    def is_stopping(self) -> bool:
        return self._stopping is not None

    @property
    def is_being_written(self) -> bool:
        return self._writing > 0

    def facts(self) -> RunFacts:
        """Where the run stands after the entries that were handed to the journal."""
        return RunFacts(
            self.ref.run_id,
            self.attempt_number,
            self.state.step,
            bool(self.state.open_calls),
            self.age_ms,
        )

    def place(self) -> RunPlace:
        """Where the spans of its tools belong."""
        return RunPlace(self.ref.run_id, self.attempt_number, self.ref.traceparent)

    def start(self, *, is_continued: bool = False) -> None:
        """Starts the run, or continues it where `state` says.

        One that is continued before its first attempt and step was only in the log: any agent can
        begin it.
        """
        assert not self._has_started, "a run is started once"
        self._has_started = True
        has_begun = self.attempt_number > 0 or self.state.step > 0
        self._placement.is_continued = is_continued and has_begun
        if is_continued:
            self._count_attempt()
        self._deadlines.begin()
        self._placement.go_on("waiting")

    def cancel(self) -> None:
        """Asks the run to stop; it soon ends as interrupted, even if it does not react."""
        self._stop(Run.Status.INTERRUPTED)

    def leave(self) -> None:
        """Stops without an end: another process, or this one later, continues from the log."""
        self._placement.cancel()
        self._quiet()

    def decide(self, step_id: str, decision: Decision) -> None:
        """Passes on a decision that is in the log."""
        self._deadlines.settle(step_id)
        if not (self.is_ended or self._stopping):
            self._placement.decide(step_id, decision)

    # Messages from the worker.

    def on_history_needed(self) -> None:
        if self._may_go_on():
            self._placement.start_over()

    def on_lost(self, attempt: Attempt, *, has_died: bool) -> None:
        if self._placement.attempt is attempt and self._may_go_on():
            self._count_attempt()
            self._placement.survive(has_died=has_died)

    def _count_attempt(self) -> None:
        self.attempt_number += 1
        calls = self.state.open_calls
        waiting = [(each.call.id, each.call.name) for each in calls if each.is_waiting]
        working = [(each.call.id, each.call.name) for each in calls if each.has_started]
        self._owner.note_next_attempt(
            NextAttempt(self.ref.run_id, self.attempt_number, waiting, working)
        )

    def _may_go_on(self) -> bool:
        """The attempt is over. False: so is the run, which ends now if it was to stop."""
        self._placement.attempt = None
        if self._stopping and not self.is_ended:
            self._end_stopped()
        return not self.is_ended

    def on_step_started(self, step: int) -> None:
        if self.is_ended or self._stopping:
            return
        self.preview.begin(step)

    def on_text(self, step: int, text: str) -> None:
        if self.is_ended or self._stopping:
            return
        self.preview.add(step, text)

    def on_steps(self, steps: Sequence[Step], attempt: Attempt) -> None:
        last = steps[-1]
        is_late = self._stopping and not isinstance(last, ToolFinished)
        if self._placement.attempt is not attempt:
            attempt.refuse()
            return
        if self.is_ended or is_late:
            attempt.refuse()
            if not self.is_ended and isinstance(last, Answer):
                self._end_stopped()
            return
        if self._writing:
            raise LinkError("steps before the last were answered")
        self.preview.flush()
        self.preview.note_logged()
        lang, age_ms = self._owner.lang, self.age_ms
        logged = [kinds.of_step(step, self.ref, lang, age_ms) for step in steps]
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
                return  # The refused write, or the session's new owner, ends the run.
            case "draining":
                # Of the runs that have begun, workers refuse only those that wait for people.
                self._placement.is_continued |= bool(self.state.waiting)
                self._placement.go_on("continuing")
            case _:
                if not (self._owner.pool.shares_log and (stopped.cause or stopped.detail)):
                    self._log_failure(stopped)
                self._end(
                    endings.failed_in_worker(
                        self.ref, self._owner.lang, stopped, with_cause=logs.is_debug()
                    )
                )

    def on_broken(self, error: Exception) -> None:
        self._placement.cancel()
        self._placement.release()
        if not self._may_go_on():
            return
        self.fail("agent_error" if isinstance(error, LinkError) else "internal_error")

    # Internals.

    def _on_logged(self, written: Sequence[Entry], outcome: Outcome, attempt: Attempt) -> None:
        self._writing -= 1
        if self.is_ended or isinstance(outcome, Exception):
            attempt.refuse()
            if isinstance(outcome, RowRefused) and not self.is_ended:
                self.state.take_back(entry.fact(datetime.now(UTC)) for entry in written)
                self.fail("internal_error")
            return
        placement = self._placement
        placement.blame.note_logged(written, is_step_done=not self.state.open_calls)
        if placement.attempt is attempt:
            placement.note_progress()
            attempt.accept()
            self._owner.pool.note_room()
        elif placement.attempt is None and not self._stopping:
            # The worker ended while these were written: the run continues from what the log has
            # now.
            placement.go_on("continuing")

    def _apply(self, written: Sequence[Entry]) -> None:
        """Folds entries as they are handed to the journal: it keeps their order.

        Raises `LinkError` if they fit no run; then they are not in the fold.
        """
        now = datetime.now(UTC)
        apply(self.state, [entry.fact(now) for entry in written])
        for entry in written:
            if entry.event == "agent.thinking":
                self.preview.clear()
            elif entry.event == "agent.user_confirm":
                self._deadlines.ask(entry.step_id)

    def on_response(self, entry: Entry) -> None:
        """A response to one of this run's questions is on its way into the log."""
        self._apply([entry])

    def on_response_refused(self, step_id: str) -> None:
        """The response can't be stored: the question stays open until its deadline."""
        if not (self.is_ended or self._stopping):
            self._deadlines.reopen(step_id)

    def _decline(self, step_id: str) -> None:
        self.decide(step_id, UNANSWERED)

    def _time_out(self) -> None:
        self._stop(Run.Status.TIMED_OUT)

    def _stop(self, status: Run.Status) -> None:
        if self.is_ended or self._stopping:
            return
        self._stopping = status
        self._deadlines.stop()
        if not self._placement.cancel():
            self._end_stopped()
            return
        loop = asyncio.get_running_loop()
        self._abandonment = loop.call_later(settings.MYAGENT_CANCEL_GRACE_S, self._abandon)

    def _abandon(self) -> None:
        if not self.is_ended:
            logger.warning("run_abandoned", run_id=self.ref.run_id)
            self._end_stopped()

    def _end_stopped(self) -> None:
        assert self._stopping is not None
        lang = self._owner.lang
        self._end(endings.stopped_by(self._stopping, self.ref, lang, self.state, self.preview.text))

    def fail(self, code: ErrorCode, sentence: str = "", *, is_retryable: bool = False) -> None:
        lang = self._owner.lang
        self._end(endings.failed(self.ref, lang, code, sentence, is_retryable=is_retryable))

    def _end(self, ending: Ending, before: Sequence[Entry] = ()) -> None:
        # First the part that may raise: the steps may be invalid.
        self._apply(before)
        self._quiet()
        closing = closing_results(self.state, self.ref, datetime.now(UTC))
        if logs.is_debug():
            status, duration_ms = ending.status.value, self.age_ms
            logger.debug("run_ended", **self._names(), status=status, duration_ms=duration_ms)
        self._owner.end_run(self, [*before, *closing], ending.keeping(self.preview.text))

    def _log_failure(self, stopped: Stopped) -> None:
        log = logger.warning if stopped.kind == "model_error" else logger.error
        told = {"cause": stopped.cause} if stopped.cause else {}
        log("run_failed", **self._names(), how=stopped.kind, error=stopped.gist, **told)

    def _names(self) -> dict[str, str]:
        """For the log."""
        return {"session_id": self._owner.session_id, "run_id": self.ref.run_id}

    def _quiet(self) -> None:
        self.is_ended = True
        self.preview.stop()
        self._deadlines.stop()
        if self._abandonment is not None:
            self._abandonment.cancel()
        self._placement.end()

    @property
    def age_ms(self) -> int:
        """Milliseconds since the run started, in whichever process."""
        return ms_between(self._started_at, datetime.now(UTC))
