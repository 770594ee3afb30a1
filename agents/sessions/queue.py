"""The runs of a live session: the current one, and those that wait for their turn.

Each change is first written to the log, in order; a run starts once the write that makes it the
current one is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.log import kinds
from agents.log.closing import closing_results
from agents.log.entry import Entry, RunRef
from agents.log.journal import Outcome, RowRefused
from agents.log.reading import UnfinishedRun
from agents.log.session_log import SessionLog
from agents.log.writes import NewRun, NextAttempt, RunEnded, RunStart
from agents.models import Run
from agents.runs.endings import Ending, failed
from agents.runs.execution import Execution
from agents.runs.link import Link
from agents.runs.preview import Preview
from agents.runs.workers import Pool
from agents.sessions.audience import Audience
from myagent.messages import ChatMessage
from myagent.protocol import Cancel
from myagent.worker.protocol import RunKey


@dataclass(frozen=True, slots=True)
class Queued:
    """A run that waits for its turn."""

    ref: RunRef
    message: ChatMessage


class Runs:
    """The `execution.Owner` of each. Its methods belong to the event loop.

    `on_end` is called with each run that has ended. While `is_draining`, none
    that waits is started.
    """

    def __init__(
        self,
        log: SessionLog,
        audience: Audience,
        pool: Pool,
        last_ordinal: int,
        *,
        is_draining: Callable[[], bool],
        on_end: Callable[[Execution], None],
    ) -> None:
        self.session_id = log.session_id
        self.lang = log.lang
        self.history = log.history
        self.pool = pool
        self.worker: Link | None = None
        self.affinity = ""
        self.waiting: list[Queued] = []
        self.current: Execution | None = None
        """The run that is under way."""
        self._log = log
        self._audience = audience
        audience.current = self._text_so_far
        self._ordinal = last_ordinal
        self.attempts = 0
        self._is_draining = is_draining
        self._on_end = on_end

    def _text_so_far(self) -> Preview | None:
        return None if self.current is None else self.current.preview

    # The interface for runs: see `execution.Owner`.

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self.current is None and not self.waiting

    def next_key(self) -> RunKey:
        self.attempts += 1
        return RunKey(self.session_id, self._log.epoch, self.attempts)

    def log(self, written: Sequence[Entry], done: Callable[[Outcome], None]) -> None:
        self._log.write_steps(written, done)

    def note_next_attempt(self, next_attempt: NextAttempt) -> None:
        # If it is refused, the run has ended or has another owner.
        self._log.write([], lambda outcome: None, continues=next_attempt)

    def end_run(self, execution: Execution, before: Sequence[Entry], ending: Ending) -> None:
        self._end_current(execution, before, ending)
        self._on_end(execution)

    def show_thinking(self, step: int) -> None:
        self._audience.show_thinking(step)

    def show_text(self, run_id: str, step: int, offset: int, text: str) -> None:
        self._audience.show_text(run_id, step, offset, text)

    def show_notice(self, code: str) -> None:
        self._audience.show_notice(code)

    # The queue.

    def add(self, queued: Queued, *, is_ahead: bool) -> tuple[NewRun, Execution | None]:
        """Adds a run before its message is written.

        If there is no current run it becomes that, and has to be given to `start_if_logged`;
        otherwise it waits, in front if `is_ahead`.
        """
        ref = queued.ref
        if self.current is None:
            started = self._make_current(queued)
            return NewRun(ref.run_id, ref.message_id, self._ordinal), started
        self.waiting.insert(0 if is_ahead else len(self.waiting), queued)
        return NewRun(ref.run_id, ref.message_id, None, is_ahead=is_ahead), None

    def withdraw(self, queued: Queued) -> None:
        """Removes a run whose message could not be accepted after all."""
        if queued in self.waiting:
            self.waiting.remove(queued)
        elif self.current is not None and self.current.ref == queued.ref:
            self.current.leave()
            self.current = None
            self.history.drop_turn(queued.ref.run_id)
            self._start_next()

    def meant_by(self, event: Cancel) -> tuple[Execution | None, list[Queued]]:
        """The runs that a cancel concerns: the current one, if it does, and waiting ones."""
        target, current = event.metadata, self.current
        is_named = target.run_id is not None or target.message_id is not None

        def is_meant(ref: RunRef) -> bool:
            if target.run_id is not None:
                return target.run_id == ref.run_id
            return target.message_id == ref.message_id

        is_current = current is not None and (not is_named or is_meant(current.ref))
        waiting = [run for run in self.waiting if target.all or (is_named and is_meant(run.ref))]
        return current if is_current or (target.all and waiting) else None, waiting

    def end_waiting(
        self,
        runs: Sequence[Queued],
        before: Sequence[Entry] = (),
        *,
        answers: int | None = None,
        on_refused: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        """Ends runs that have not started, after the entry that says why.

        `answers`: the row of the inbox that asked for it. `on_refused` is told why nothing was
        written.
        """
        self.waiting = [run for run in self.waiting if run not in runs]

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, RunEnded) and runs and (before or len(runs) > 1):
                # One of them was never accepted: the others end without it.
                for run in runs:
                    self.end_waiting([run], answers=answers, on_refused=on_refused)
            elif isinstance(outcome, Exception):
                on_refused(outcome)

        lang, status = self.lang, str(Run.Status.INTERRUPTED)
        ends = [kinds.interrupted(run.ref, lang, []) for run in runs]
        self._log.write(
            [*before, *ends],
            done,
            ends={run.ref.run_id: status for run in runs},
            answers=answers,
        )

    def end_all(self) -> None:
        """Ends what runs and what waits, as interrupted."""
        if self.waiting:
            self.end_waiting(self.waiting)
        if self.current is not None:
            self.current.cancel()

    def _end_current(self, execution: Execution, before: Sequence[Entry], ending: Ending) -> None:
        """Ends the current run, and starts the next one by the same write."""
        following = self.waiting[0] if self.waiting and not self._is_draining() else None
        self.current = None
        written = [*before, ending.entry]
        for entry in written:
            if entry.message is not None:
                self.history.add(execution.ref.run_id, entry.message)
        started = self._make_current(following) if following else None
        starts = self._start_of(following) if following else None

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, RowRefused):
                self._end_bare(execution)
            if isinstance(outcome, RowRefused | RunEnded) and starts and self.current is started:
                # The next run is not to blame: the database refused the end, or the run's message.
                self._start_alone(started, starts)
            else:
                self.start_if_logged(started, outcome)

        ends = {execution.ref.run_id: str(ending.status)}
        self._log.write(written, done, starts=starts, ends=ends, ended=[execution.facts()])

    def start_if_logged(self, started: Execution | None, outcome: Outcome) -> None:
        """Starts a run if the write that made it the current one is in the log."""
        is_logged = isinstance(outcome, list)
        if is_logged and started is not None and self.current is started:
            started.start()

    def resume(self, unfinished: Sequence[UnfinishedRun]) -> None:
        """Goes on with what the log left unfinished."""
        for run in unfinished:
            ref = RunRef(run.run_id, run.message_id, run.traceparent)
            if run.ordinal is None:
                self.waiting.append(Queued(ref, run.message))
            else:
                self.current = Execution(
                    self,
                    ref,
                    state=run.state,
                    started_at=run.started_at,
                    attempts=run.attempts,
                )
        interrupted = self.current
        self._let_cancels_hold(unfinished)
        if self.current is None:
            self._start_next()
        elif self.current is interrupted:
            self.current.start(is_continued=True)

    def _let_cancels_hold(self, unfinished: Sequence[UnfinishedRun]) -> None:
        """Runs that were cancelled or interrupted before the crash are not continued."""
        cancelled = {run.run_id for run in unfinished if run.state.is_cancelled}
        if waiting := [run for run in self.waiting if run.ref.run_id in cancelled]:
            self.end_waiting(waiting)
        current = self.current
        if current is None:
            return
        accepted_seq = next(abs(run.position) for run in unfinished if run.ordinal is not None)
        # A run that was put ahead earlier waits behind this one and does not interrupt it.
        is_interrupted = any(
            run.ordinal is None and -run.position > accepted_seq for run in unfinished
        )
        if is_interrupted or current.ref.run_id in cancelled:
            current.cancel()

    def _make_current(self, run: Queued) -> Execution:
        """Makes the run the current one; it starts once that is in the log."""
        if run in self.waiting:
            self.waiting.remove(run)
        self._ordinal += 1
        self.history.start_turn(run.ref.run_id)
        self.history.add(run.ref.run_id, run.message)
        self.current = execution = Execution(self, run.ref)
        return execution

    def _start_next(self) -> None:
        """Starts the run that has waited longest, unless the end of a run does so."""
        if self.waiting and not self._is_draining():
            following = self.waiting[0]
            started = self._make_current(following)
            self._start_alone(started, self._start_of(following))

    def _start_of(self, run: Queued) -> RunStart:
        """What the log gets of a run that was made the current one."""
        return RunStart(run.ref.run_id, self._ordinal, run.message.content, run.ref.traceparent)

    def _start_alone(self, started: Execution | None, starts: RunStart) -> None:
        self._log.write([], lambda outcome: self.start_if_logged(started, outcome), starts=starts)

    def _end_bare(self, execution: Execution) -> None:
        """Ends a run whose regular end the database can't store."""
        # A model rejects a context without results, but they may be what can't be stored.
        results = closing_results(execution.state, execution.ref)

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, RowRefused) and results:
                self._end_with_an_error(execution, [], lambda outcome: None)

        self._end_with_an_error(execution, results, done)

    def _end_with_an_error(
        self, execution: Execution, before: Sequence[Entry], done: Callable[[Outcome], None]
    ) -> None:
        ending = failed(execution.ref, self.lang, "internal_error")
        ends = {execution.ref.run_id: str(ending.status)}
        written = [*before, ending.entry]
        self._log.write(written, done, ends=ends, ended=[execution.facts()])
