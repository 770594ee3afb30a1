"""Clients' requests to stop runs: the current one, or some that wait for their turn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agents.log import kinds
from agents.log.journal import JournalStopped
from agents.log.session_log import SessionLog
from agents.log.writes import OwnershipLost, RunEnded
from agents.ports import Asker, PassOn
from agents.sessions.queue import Runs
from agents.sessions.refusals import code_of
from agents.transients import Notice, Problem
from myagent.protocol import Cancel


class Cancels:
    """Its methods belong to the event loop. `check` raises `Refused` if nothing can be written."""

    def __init__(
        self, log: SessionLog, runs: Runs, check: Callable[[], None], pass_on: PassOn
    ) -> None:
        self._log = log
        self._runs = runs
        self._check = check
        self._pass_on = pass_on

    def take(self, socket: Asker, event: Cancel) -> None:
        """Stops the run that the event names; a queued one leaves the queue. Raises `Refused`."""
        current, waiting = self._runs.meant_by(event)
        if current is None and not waiting:
            self._say_not_running(socket, event)
            return
        self._check()
        ref = current.ref if current else waiting[0].ref
        self._runs.end_waiting(
            waiting,
            [kinds.user_cancel(ref.run_id)],
            answers=socket.inbox_row,
            on_refused=partial(self._on_refused, socket, event, ref.run_id),
        )
        if current is not None:
            current.cancel()

    def _say_not_running(self, socket: Asker, event: Cancel) -> None:
        run_id = event.metadata.run_id
        socket.tell(Notice(self._log.lang, "not_running", self._log.session_id, run_id))

    def _on_refused(self, socket: Asker, event: Cancel, run_id: str, error: Exception) -> None:
        match error:
            case OwnershipLost():
                self._pass_on(socket, aimed(event, run_id))
            case RunEnded():
                self._say_not_running(socket, event)
            case JournalStopped():
                """The log tells the next owner, and the client, what became of it."""
            case _:
                session_id = self._log.session_id
                socket.tell(Problem(socket.lang, code_of(error), session_id=session_id))


def aimed(event: Cancel, run_id: str) -> Cancel:
    """The cancel with the run that it is about."""
    metadata = event.metadata.model_copy(update={"run_id": run_id})
    return event.model_copy(update={"metadata": metadata})
