"""The log's plain SQL: the rows that a batch inserts and updates.

Plain SQL, as in the register of connections and in recorders: `agents.log.bulk` writes it at a
third of what the ORM's bulk calls cost here, and every message passes through. A test holds its
columns against the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from agents.log.bulk import write_rows
from agents.log.entry import Entry
from agents.log.lookups import SessionState, marks
from agents.log.writes import NewRun, NewSession, NextAttempt, RunStart
from agents.models import Event, InboxRow, Run, Session
from agents.titles import title_from

Row = tuple[Any, ...]


def _now() -> datetime:
    """The moment in whole milliseconds, as clients see it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(slots=True)
class Rows:
    """What a batch writes. `moment` is `now` as the database takes it: a column's value."""

    now: datetime = field(default_factory=_now)
    moment: Any = field(init=False)
    sessions: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    starts: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    ends: list[Row] = field(default_factory=list)
    closes: list[Row] = field(default_factory=list)
    answers: list[Row] = field(default_factory=list)
    titles: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Computed once for all rows: it takes as long as the rest of a row.
        self.moment = connection.ops.adapt_datetimefield_value(self.now)

    def add_session(self, session_id: str, epoch: int, new: NewSession) -> None:
        self.sessions.append(
            (
                session_id,
                new.service,
                new.lang,
                new.tags,
                new.client,
                new.principal,
                new.owner_id,
                epoch,
                0,
                self.moment,
                self.moment,
                "",
            )
        )

    def add_run(self, session_id: str, run: NewRun, message_key: str, seq: int) -> None:
        """`seq` is its message's place in the log."""
        is_started = run.ordinal is not None
        self.runs.append(
            (
                run.run_id,
                session_id,
                run.message_id,
                message_key,
                seq,
                -seq if run.is_ahead else seq,
                run.ordinal,
                Run.Status.RUNNING if is_started else Run.Status.QUEUED,
                self.moment,
                self.moment if is_started else None,
                1,
            )
        )

    def add_event(self, session_id: str, seq: int, epoch: int, entry: Entry) -> None:
        self.events.append(
            (
                session_id,
                seq,
                epoch,
                entry.run_id,
                entry.event,
                entry.step_id,
                self.moment,
                entry.payload.decode(),
                entry.message_json,
            )
        )

    def start(self, start: RunStart) -> None:
        self.starts.append((Run.Status.RUNNING, start.ordinal, self.moment, start.run_id))

    def continue_(self, next_attempt: NextAttempt) -> None:
        self.attempts.append((next_attempt.attempt, next_attempt.run_id))

    def end(self, run_id: str, status: str) -> None:
        self.ends.append((status, self.moment, run_id))

    def close(self, session_id: str, reason: str) -> None:
        self.closes.append((self.moment, reason, session_id))

    def answer(self, row_id: int, epoch: int) -> None:
        """A request that was taken under the epoch is done."""
        self.answers.append((InboxRow.State.DONE, row_id, InboxRow.State.TAKEN, epoch))

    def name(self, session_id: str, message: str) -> None:
        """Gives the session a title, unless it has one."""
        self.titles.append((title_from(message), session_id))


_SESSION = Session._meta.db_table
_RUN = Run._meta.db_table
_EVENT = Event._meta.db_table
_INBOX = InboxRow._meta.db_table

SESSION_COLUMNS = (
    "id", "service", "lang", "tags", "client", "principal", "owner_id", "epoch", "last_seq",
    "created_at", "updated_at", "close_reason",
)  # fmt: skip
RUN_COLUMNS = (
    "id", "session_id", "message_id", "message_key", "accepted_seq", "position", "ordinal",
    "status", "accepted_at", "started_at", "attempts",
)  # fmt: skip
EVENT_COLUMNS = (
    "session_id", "seq", "epoch", "run_id", "event", "step_id", "created_at", "payload", "message",
)  # fmt: skip


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks(columns)})"


_INSERT_SESSION = _insert(_SESSION, SESSION_COLUMNS)
_INSERT_RUN = _insert(_RUN, RUN_COLUMNS)
_INSERT_EVENT = _insert(_EVENT, EVENT_COLUMNS)
_START_RUN = (
    f"UPDATE {_RUN} SET status=%s, ordinal=%s, started_at=%s WHERE id=%s AND ended_at IS NULL"
)
_CONTINUE_RUN = f"UPDATE {_RUN} SET attempts=%s WHERE id=%s AND ended_at IS NULL"
_END_RUN = f"UPDATE {_RUN} SET status=%s, ended_at=%s WHERE id=%s AND ended_at IS NULL"
_CLOSE_SESSION = f"UPDATE {_SESSION} SET closed_at=%s, close_reason=%s WHERE id=%s"
_ANSWER_REQUEST = f"UPDATE {_INBOX} SET state=%s WHERE id=%s AND state=%s AND epoch=%s"
_NAME_SESSION = f"UPDATE {_SESSION} SET title=%s WHERE id=%s AND title=''"
_ADVANCE_SESSION = f"UPDATE {_SESSION} SET last_seq=%s, updated_at=%s WHERE id=%s"


def insert_and_update(cursor: CursorWrapper, rows: Rows, sessions: dict[str, SessionState]) -> None:
    """Writes everything, in the order in which rows refer to each other."""
    advances = [
        (session.last_seq, rows.moment, id_)
        for id_, session in sessions.items()
        if session.is_changed
    ]
    work = (
        (_INSERT_SESSION, rows.sessions),
        (_INSERT_RUN, rows.runs),
        (_INSERT_EVENT, rows.events),
        (_START_RUN, rows.starts),
        (_CONTINUE_RUN, rows.attempts),
        (_END_RUN, rows.ends),
        (_CLOSE_SESSION, rows.closes),
        (_ANSWER_REQUEST, rows.answers),
        (_NAME_SESSION, rows.titles),
        (_ADVANCE_SESSION, advances),
    )
    write_rows(cursor, [(statement, values) for statement, values in work if values])
