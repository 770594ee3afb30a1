"""One session's log, as the server that owns the session writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.log.entry import Entry, Logged
from agents.log.fold import History
from agents.log.journal import Journal, Outcome, RowRefused
from agents.log.writes import Facts, OwnershipLost, Write


class SessionLog:
    """Its methods belong to the event loop.

    What is handed over first is first in the log, so a session's state moves
    when a write is handed over, not when it is done; only what people see
    waits for the commit. `history` is what the entries handed over so far add
    to the model's context; `last_seq`, the newest entry that is committed.

    `is_closed`: whether its last entry has been handed over; set it where the log
    was found closed. `facts` tells recorders about it.

    `on_begun` is called when a write begins. After it one of these is, before the writer's own
    `done`: `on_logged` with the entries, `on_lost` if another server owns the session.
    `on_settled` is called after `done`.
    """

    def __init__(
        self,
        session_id: str,
        epoch: int,
        lang: str,
        last_seq: int,
        history: History,
        journal: Journal,
        *,
        facts: Callable[[], Facts],
    ) -> None:
        self.session_id = session_id
        self.epoch = epoch
        self.lang = lang
        self.last_seq = last_seq
        self.history = history
        self.is_closed = False
        self.on_begun: Callable[[], None] = lambda: None
        self.on_logged: Callable[[Sequence[Logged]], None] = lambda logged: None
        self.on_lost: Callable[[], None] = lambda: None
        self.on_settled: Callable[[], None] = lambda: None
        self._journal = journal
        self._facts = facts
        self._writing = 0

    @property
    def is_being_written(self) -> bool:
        return self._writing > 0

    @property
    def is_available(self) -> bool:
        """Whether new messages may be accepted."""
        return self._journal.is_available

    def write(
        self, written: Sequence[Entry], done: Callable[[Outcome], None], **changes: Any
    ) -> None:
        """Hands entries and changes (fields of a `Write`) to the journal."""
        write = Write(self.session_id, self.epoch, written, facts=self._facts(), **changes)
        self.is_closed = self.is_closed or bool(write.close_reason)

        def finished(outcome: Outcome) -> None:
            self._writing -= 1
            if isinstance(outcome, OwnershipLost):
                self.on_lost()
            elif isinstance(outcome, list):
                self._publish(outcome)
            done(outcome)
            self.on_settled()

        self._writing += 1
        self.on_begun()
        self._journal.append(write, finished)

    def write_steps(
        self,
        written: Sequence[Entry],
        done: Callable[[Outcome], None],
        *,
        answers: int | None = None,
    ) -> None:
        """The same for entries of a run that goes on: the model's context grows by them."""
        for entry in written:
            if entry.message is not None and entry.run_id is not None:
                self.history.add(entry.run_id, entry.message)

        def finished(outcome: Outcome) -> None:
            if isinstance(outcome, RowRefused):
                self.history.take_back(entry.message for entry in written if entry.message)
            done(outcome)

        self.write(written, finished, answers=answers)

    def _publish(self, logged: Sequence[Logged]) -> None:
        if logged:
            self.last_seq = logged[-1].seq
            self.on_logged(logged)
