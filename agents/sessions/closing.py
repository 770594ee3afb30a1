"""The end of a session: first that of its runs, then its last entry."""

from __future__ import annotations

from collections.abc import Callable

from agents.log import kinds
from agents.log.journal import Outcome
from agents.log.session_log import SessionLog
from agents.log.writes import OwnershipLost
from agents.ports import Asker, PassOn, Refused
from agents.sessions.queue import Runs
from agents.sessions.refusals import code_of
from agents.transients import Problem
from myagent.protocol import CloseSession


class Closing:
    """Its methods belong to the event loop. `check` raises `Refused` if nothing can be written."""

    def __init__(
        self, log: SessionLog, runs: Runs, check: Callable[[], None], pass_on: PassOn
    ) -> None:
        self._log = log
        self._runs = runs
        self._check = check
        self._pass_on = pass_on
        self._reason: str | None = None
        self._closer: tuple[Asker, CloseSession] | None = None
        """Who asked for it, until it is in the log."""

    @property
    def has_begun(self) -> bool:
        return self._reason is not None or self._log.is_closed

    def take(self, asker: Asker, event: CloseSession) -> None:
        """Closes the session for a client. Raises `Refused`."""
        if self._reason and asker.inbox_row is not None:
            raise Refused("session_closed")
        if not self.has_begun:
            self._check()
            self._closer = asker, event
        self.begin("closed")

    def begin(self, reason: str) -> None:
        """Ends every run as interrupted, then the session. Raises `Refused` if it has ended."""
        if self._log.is_closed:
            raise Refused("session_closed")
        if self._reason:
            return
        self._check()
        self._reason = reason
        is_at_rest = self._runs.current is None
        self._runs.end_all()
        if is_at_rest:
            self._finish(reason)

    def on_run_ended(self) -> None:
        """No run is under way any more."""
        if self._reason:
            self._finish(self._reason)

    def leave(self) -> None:
        """Another server owns the session. Nothing in the log tells it who asked for the end."""
        if self._closer is not None:
            closer, self._closer = self._closer, None
            self._pass_on(*closer)

    def _finish(self, reason: str) -> None:
        closer, self._closer = self._closer, None

        def done(outcome: Outcome) -> None:
            if closer is not None and isinstance(outcome, Exception):
                self._on_refused(*closer, outcome)

        self._log.write(
            [kinds.session_end(self._log.lang, reason)],
            done,
            close_reason=reason,
            answers=None if closer is None else closer[0].inbox_row,
        )

    def _on_refused(self, asker: Asker, event: CloseSession, error: Exception) -> None:
        if isinstance(error, OwnershipLost):
            self._pass_on(asker, event)
        else:
            session_id = self._log.session_id
            asker.tell(Problem(asker.lang, code_of(error), session_id=session_id))
