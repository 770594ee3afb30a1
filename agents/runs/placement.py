"""Places a run on a worker, and on another one when that worker ends."""

from __future__ import annotations

from typing import Protocol

import structlog

from agents.log.entry import RunRef
from agents.log.fold import History, RunState
from agents.runs.attempts import Attempt, Receiver
from agents.runs.blame import Blame
from agents.runs.link import Link
from agents.runs.workers import Pool, Why
from agents.runtime import logs
from myagent.inner_spans import RunPlace
from myagent.protocol import ErrorCode
from myagent.steps import Decision
from myagent.worker.protocol import RunKey

logger = structlog.get_logger(__name__)


class Employer(Protocol):
    """What a placement needs to know of the run's session."""

    session_id: str
    history: History
    pool: Pool
    """The workers of the session's service."""
    worker: Link | None
    """The worker of the session's runs while it lives: its agent may keep state."""

    affinity: str
    """A key that chooses the worker of its first run; '' for the one with the fewest runs."""

    def next_key(self) -> RunKey:
        """The key of the next attempt at a run."""

    def show_notice(self, code: str) -> None:
        """Tells the session's sockets how the run is doing; this is not logged."""


class Placed(Receiver, Protocol):
    """A run as its placement sees it."""

    ref: RunRef
    state: RunState

    @property
    def is_being_written(self) -> bool:
        """Whether steps are being written to the log: the run continues from them."""

    def place(self) -> RunPlace: ...

    def cancel(self) -> None: ...

    def fail(self, code: ErrorCode, sentence: str = "", *, is_retryable: bool = False) -> None: ...


class Placement:
    """The placement of one run. Its methods belong to the event loop.

    `attempt` is the run on its current worker; None while it has none.
    """

    def __init__(self, session: Employer, run: Placed) -> None:
        self.attempt: Attempt | None = None
        self.is_continued = False
        """Whether the run was started before: calls without a result may have taken effect."""
        self.blame = Blame()
        self._session = session
        self._run_id = run.ref.run_id
        self._state = run.state
        self._run: Placed | None = run
        """None once the run has ended: a cycle would have to wait for a garbage collection."""
        self._is_adrift = False
        """Whether the session's sockets were told that the run waits for a worker."""

    @property
    def is_suspect(self) -> bool:
        return self.blame.is_suspect

    @property
    def affinity(self) -> str:
        return self._session.affinity

    def go_on(self, notice: str) -> None:
        """Gives the run to a worker, or waits for one and sends `notice`.

        Not while steps are being written to the log, or while everything open waits for people.
        """
        if self._run is None or self._run.is_being_written or self._state.is_all_waiting:
            return
        self._session.pool.place(self, self._session.worker)
        if self._has_none and not self._is_adrift:
            self._drift(notice)

    def start_over(self) -> None:
        """Starts the run again on its worker, which needs the whole history."""
        if self._run is not None and self._session.worker is not None:
            self._begin_on(self._session.worker, self._run)

    def decide(self, step_id: str, decision: Decision) -> None:
        """Passes a decision on to the worker that has the run."""
        if self.attempt is not None:
            self.note_progress()
            self.attempt.decide(step_id, decision)
        else:
            self.go_on("continuing")

    def note_progress(self) -> None:
        """The run's state has changed: it may have started or stopped waiting only for people."""
        if self.attempt is not None:
            # A run that only waits for people kills no worker, and may wait for a long time.
            self.attempt.is_quarantined = self.is_suspect and not self._state.is_all_waiting

    def survive(self, *, has_died: bool) -> None:
        """The link has ended: the run continues on another worker if it can.

        `has_died`: see `Receiver`.
        """
        if self._run is None:
            return
        self.is_continued = True
        worker = self._session.worker
        if worker is not None and self._must_end_on(worker):
            self._lose_hope(worker, self._run)
            return
        if has_died and not self._state.is_all_waiting:
            self.blame.note_death()
        if self.blame.is_guilty:
            logger.error("run_kills_workers", run_id=self._run_id)
            self._run.fail("agent_error", "agent_kills")
            return
        self._drift("continuing")
        self.go_on("continuing")

    def cancel(self) -> bool:
        """Asks the run to stop on its worker. False: it has none."""
        if self.attempt is not None:
            self.attempt.cancel()
        return self.attempt is not None

    def end(self) -> None:
        """Withdraws the run from its worker. May be called twice."""
        self._run = None
        self.release()
        self._session.pool.withdraw(self)
        self._session.pool.note_room()

    def release(self) -> None:
        """Ignores what the current worker still sends."""
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.done()

    # The interface for the pool.

    def on_placed(self, link: Link) -> None:
        if self._run is None or self.attempt is not None:
            return
        if self._must_end_on(link):
            self._end_cut_off(self._run)
            return
        self._begin_on(link, self._run)
        if self._is_adrift:
            self._is_adrift = False
            self._session.show_notice("continued")

    def on_unplaced(self, why: Why) -> None:
        if self._run is None or self.attempt is not None:
            return
        if why == "stopped":
            self._run.cancel()
        else:
            self._run.fail("service_unavailable", "no_worker", is_retryable=True)

    def on_broken(self, error: Exception) -> None:
        if self._run is not None:
            self._run.on_broken(error)

    # Internals.

    def _begin_on(self, link: Link, run: Placed) -> None:
        session = self._session
        session.worker = link
        if logs.is_debug():
            names = {"session_id": session.session_id, "run_id": self._run_id}
            logger.debug("run_begins", **names, pid=link.pid)
        self.attempt = link.start(
            session.next_key(),
            session.history,
            self._state.resume(),
            run,
            place=run.place(),
            is_continued=self.is_continued,
        )
        self.note_progress()

    def _must_end_on(self, link: Link) -> bool:
        """Whether the run was interrupted and the worker's agent can't continue or restart it."""
        return self.is_continued and not link.agent.is_continuable

    def _lose_hope(self, worker: Link, run: Placed) -> None:
        if worker.is_draining:
            # The pool knows whether the service is stopped or has another worker, which decides how
            # the run ends.
            self._is_adrift = True
            self.go_on("continuing")
        else:
            self._end_cut_off(run)

    def _end_cut_off(self, run: Placed) -> None:
        logger.info("run_cut_off", run_id=self._run_id)
        run.fail("agent_error", "agent_gone", is_retryable=True)

    def _drift(self, notice: str) -> None:
        self._is_adrift = True
        self._session.show_notice(notice)

    @property
    def _has_none(self) -> bool:
        """Whether the run still needs a worker."""
        return self._run is not None and self.attempt is None
