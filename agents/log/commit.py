"""One batch of writes to the log, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import DataError, IntegrityError
from django.db.backends.utils import CursorWrapper

from agents.log import barriers
from agents.log.entry import Logged
from agents.log.lookups import (
    Lookup,
    MessageKey,
    SessionState,
    accepted_messages,
    entry_under,
    key_of,
    locking,
)
from agents.log.recorders import Recorder, Recording, RowsRefused
from agents.log.statements import Rows, insert_and_update
from agents.log.transaction import ask, one_transaction
from agents.log.writes import DuplicateMessage, OwnershipLost, Result, RunEnded, Write
from agents.models import Run

MAX_ENTRY_BYTES = 8 * 1024 * 1024
"""A larger entry is refused here: with escaping, it would exceed MariaDB's packet size.

Far above that size the server closes the connection without an error, which looks like an outage:
the whole log would wait for that one row.
"""


class Batch:
    """Plans and commits writes. `commit` may be called again after a failure.

    `recorder_failures`: how often a recorder failed at the last attempt.
    """

    def __init__(self, writes: Sequence[Write], recorders: Sequence[Recorder] = ()) -> None:
        self.writes = writes
        self.planned: list[Result] = []
        self.recorder_failures = 0
        self._recorders = recorders

    def commit(self) -> list[Result]:
        """The outcome of each write. Raises `django.db.Error`; then the outcome is unknown."""
        if any(entry.size > MAX_ENTRY_BYTES for write in self.writes for entry in write.entries):
            raise DataError("an entry is too large")
        try:
            return self._commit(looks_up=False)
        except IntegrityError:
            if not any(write.new_run for write in self.writes):
                raise
        # Most likely the message was accepted before. Looking it up takes a sixth of the commit's
        # time, and nearly all repeated messages are recognised in memory before they come here.
        return self._commit(looks_up=True)

    def _commit(self, *, looks_up: bool) -> list[Result]:
        """A recorder whose rows are refused costs a second try: savepoints would cost every one."""
        recorders, failures = list(self._recorders), 0
        while True:
            try:
                return self._commit_with(recorders, looks_up=looks_up, failures=failures)
            except RowsRefused as refused:
                recorders.remove(refused.recorder)
                failures += 1

    def _commit_with(
        self, recorders: Sequence[Recorder], *, looks_up: bool, failures: int
    ) -> list[Result]:
        lookup = Lookup(self.writes)
        with one_transaction(*lookup.queries) as (cursor, answers):
            sessions, live = lookup.read(answers)
            if self._took_effect(cursor):
                return self.planned
            # Only now: until the rows are locked, a former attempt may still take effect.
            self.planned = []
            accepted = accepted_messages(cursor, self.writes) if looks_up else {}
            rows, recording = Rows(), Recording(recorders)
            for write in self.writes:
                result = _plan(write, sessions, live, accepted, rows)
                self.planned.append(result)
                if isinstance(result, list):
                    recording.add(write, result, rows.now)
            barriers.reach("within", self.writes)
            insert_and_update(cursor, rows, sessions)
            recording.save(cursor)
        recording.note_committed()
        self.recorder_failures = recording.failures + failures
        return self.planned

    def find_committed(self) -> list[Result] | None:
        """After a commit of unknown outcome: its results if it took effect, else None.

        The row is locked first, even if it is new: the server may still be executing the commit of
        the lost connection. A copy of the database that is promoted may execute it even later, so
        `commit` looks once more.
        """
        if (planned := self._first_planned()) is None:
            return None
        write, _ = planned
        with one_transaction(locking([write.session_id])) as (cursor, _):
            return self.planned if self._took_effect(cursor) else None

    def _took_effect(self, cursor: CursorWrapper) -> bool:
        """Whether an attempt of before did, as the log is now.

        Under one epoch a single process writes a session's log, so an entry at the planned place
        with our epoch can only be ours.
        """
        if (planned := self._first_planned()) is None:
            return False
        write, first = planned
        (found,) = ask(cursor, [entry_under(write.epoch, write.session_id, first.seq)])
        return bool(found)

    def _first_planned(self) -> tuple[Write, Logged] | None:
        """The first entry that the last attempt was to write: all were, or none."""
        for write, result in zip(self.writes, self.planned, strict=False):
            if isinstance(result, list) and result:
                return write, result[0]
        return None


def find_duplicate(write: Write) -> DuplicateMessage | None:
    """The accepted message that a refused write repeats, if that is the reason."""
    if write.new_run is None:
        return None
    seq = (
        Run.objects.filter(
            session_id=write.session_id, message_key=Run.key_of(write.new_run.message_id)
        )
        .values_list("accepted_seq", flat=True)
        .first()
    )
    return None if seq is None else DuplicateMessage(seq)


def _plan(
    write: Write,
    sessions: dict[str, SessionState],
    live: set[str],
    accepted: dict[MessageKey, int],
    rows: Rows,
) -> Result:
    if write.new_session is not None:
        sessions[write.session_id] = SessionState(write.epoch, 0)
        rows.add_session(write.session_id, write.epoch, write.new_session)
    session = sessions.get(write.session_id)
    if session is None or session.epoch != write.epoch:
        return OwnershipLost(write.session_id)
    if not write.needs_live() <= live:
        return RunEnded(write.session_id)
    if write.new_run is not None:
        key, seq = key_of(write), session.last_seq + 1
        if (original_seq := accepted.setdefault(key, seq)) != seq:
            return DuplicateMessage(original_seq)
        live.add(write.new_run.run_id)
        rows.add_run(write.session_id, write.new_run, key[1], seq)
        if session.last_seq <= 1:
            # Only `agent.session_created` comes before the first message.
            rows.name(write.session_id, str(write.entries[0].content))
    logged = _log(write, session, rows)
    _change(write, live, rows)
    return logged


def _change(write: Write, live: set[str], rows: Rows) -> None:
    """What changes besides the log."""
    if write.starts is not None:
        rows.start(write.starts)
    if write.continues is not None:
        rows.continue_(write.continues)
    for run_id, status in write.ends.items():
        rows.end(run_id, status)
        live.discard(run_id)
    if write.close_reason:
        rows.close(write.session_id, write.close_reason)
    if write.answers is not None:
        rows.answer(write.answers, write.epoch)


def _log(write: Write, session: SessionState, rows: Rows) -> list[Logged]:
    logged = []
    for entry in write.entries:
        session.last_seq += 1
        session.is_changed = True
        rows.add_event(write.session_id, session.last_seq, write.epoch, entry)
        logged.append(
            Logged(
                write.session_id,
                session.last_seq,
                entry.event,
                entry.step_id,
                rows.now,
                entry.payload,
            )
        )
    return logged
