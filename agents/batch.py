"""One batch of writes to the log, in one transaction.

This is the one place with plain SQL: `executemany` costs a third of what the
ORM's bulk calls do here, and every message passes through. A test holds its
columns against the models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction

from agents.entries import Entry, Logged
from agents.models import Event, Run, Session


class WriteRefused(Exception):
    """A write that the log's rules forbid; nothing of it was written."""


class OwnershipLost(WriteRefused):
    """Another process owns the session now."""


class RunEnded(WriteRefused):
    """The run has its one terminal entry already, or was never accepted."""


class DuplicateMessage(WriteRefused):
    """The message was accepted before. `seq` is the original's place in the log."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq


@dataclass(frozen=True, slots=True)
class NewSession:
    service: str
    lang: str
    runner_id: str
    tags: str
    client: str
    """`tags` and `client` are JSON texts."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """`ordinal` is None for a run that waits in the queue; `is_ahead`: in front of it."""

    run_id: str
    message_id: str
    ordinal: int | None
    is_ahead: bool = False


@dataclass(frozen=True, slots=True)
class RunStart:
    run_id: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Write:
    """What one caller wants in the log, all or nothing.

    The entries get consecutive numbers. Those of a run that is not alive are
    refused; `ends` maps the runs that end here to their status.
    """

    session_id: str
    epoch: int
    entries: Sequence[Entry] = ()
    new_session: NewSession | None = None
    new_run: NewRun | None = None
    starts: RunStart | None = None
    ends: dict[str, str] = field(default_factory=dict)
    close_reason: str = ""

    def needs_live(self) -> set[str]:
        """The runs that must have been accepted and not have ended."""
        runs = {entry.run_id for entry in self.entries if entry.run_id} | set(self.ends)
        return runs - {self.new_run.run_id} if self.new_run else runs


Result = list[Logged] | WriteRefused


def _now() -> datetime:
    """The moment in whole milliseconds, as clients are told it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(slots=True)
class _SessionState:
    epoch: int
    last_seq: int
    is_changed: bool = False


@dataclass(slots=True)
class _Rows:
    """What a batch writes. `moment` is `now` as the database takes it: a column's value."""

    now: datetime = field(default_factory=_now)
    moment: Any = field(init=False)
    sessions: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    runs: list[tuple[Any, ...]] = field(default_factory=list)
    starts: list[tuple[Any, ...]] = field(default_factory=list)
    ends: list[tuple[Any, ...]] = field(default_factory=list)
    closes: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Once for all rows: it costs as much as the rest of a row.
        self.moment = connection.ops.adapt_datetimefield_value(self.now)


class Batch:
    """Plans and commits writes. `commit` may be called again after a failure."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self.writes = writes
        self.planned: list[Result] = []

    def commit(self) -> list[Result]:
        """What became of each write. Raises `django.db.Error`; then nothing is known."""
        self.planned = []
        with transaction.atomic(), connection.cursor() as cursor:
            sessions = _lock_sessions(cursor, self.writes)
            live = _live_runs(cursor, self.writes)
            rows = _Rows()
            for write in self.writes:
                self.planned.append(_plan(write, sessions, live, rows))
            _insert_and_update(cursor, rows, sessions)
        return self.planned

    def find_committed(self) -> list[Result] | None:
        """After a commit of unknown outcome: its results if it took effect, else None.

        Under one epoch a single process writes a session's log, so an entry at
        the planned place with our epoch can only be ours. The rows are locked
        first: the server may still be at work on the lost connection's commit.
        """
        for write, result in zip(self.writes, self.planned, strict=False):
            if isinstance(result, list) and result:
                with transaction.atomic(), connection.cursor() as cursor:
                    _lock_sessions(cursor, [write])
                    is_there = Event.objects.filter(
                        session_id=write.session_id, seq=result[0].seq, epoch=write.epoch
                    ).exists()
                return self.planned if is_there else None
        return None


def find_duplicate(write: Write) -> DuplicateMessage | None:
    """The accepted message that a refused write repeats, if that is why."""
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
    sessions: dict[str, _SessionState],
    live: set[str],
    rows: _Rows,
) -> Result:
    if write.new_session is not None:
        sessions[write.session_id] = _SessionState(write.epoch, 0)
        rows.sessions.append(_session_row(write, write.new_session, rows.moment))
    session = sessions.get(write.session_id)
    if session is None or session.epoch != write.epoch:
        return OwnershipLost(write.session_id)
    if not write.needs_live() <= live:
        return RunEnded(write.session_id)
    first_seq = session.last_seq + 1
    logged = _log(write, session, rows)
    if write.new_run is not None:
        live.add(write.new_run.run_id)
        rows.runs.append(_run_row(write.session_id, write.new_run, first_seq, rows.moment))
    if write.starts is not None:
        start = write.starts
        rows.starts.append((Run.Status.RUNNING, start.ordinal, rows.moment, start.run_id))
    for run_id, status in write.ends.items():
        rows.ends.append((status, rows.moment, run_id))
        live.discard(run_id)
    if write.close_reason:
        rows.closes.append((rows.moment, write.close_reason, write.session_id))
    return logged


def _log(write: Write, session: _SessionState, rows: _Rows) -> list[Logged]:
    logged = []
    for entry in write.entries:
        session.last_seq += 1
        session.is_changed = True
        rows.events.append(
            (
                write.session_id,
                session.last_seq,
                write.epoch,
                entry.run_id,
                entry.event,
                entry.step_id,
                rows.moment,
                entry.payload.decode(),
                entry.message_json,
            )
        )
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


def _session_row(write: Write, new: NewSession, moment: Any) -> tuple[Any, ...]:
    return (
        write.session_id,
        new.service,
        new.lang,
        new.tags,
        new.client,
        new.runner_id,
        write.epoch,
        0,
        moment,
        moment,
        "",
    )


def _run_row(session_id: str, run: NewRun, seq: int, moment: Any) -> tuple[Any, ...]:
    is_started = run.ordinal is not None
    return (
        run.run_id,
        session_id,
        run.message_id,
        Run.key_of(run.message_id),
        seq,
        -seq if run.is_ahead else seq,
        run.ordinal,
        Run.Status.RUNNING if is_started else Run.Status.QUEUED,
        moment,
        moment if is_started else None,
        0,
        0,
    )


def _marks(values: Iterable[Any]) -> str:
    return ",".join("%s" for _ in values)


def _lock_sessions(cursor: Any, writes: Sequence[Write]) -> dict[str, _SessionState]:
    ids = sorted({write.session_id for write in writes if write.new_session is None})
    if not ids:
        return {}
    # Sorted: two processes that lock the same rows do it in the same order.
    suffix = " ORDER BY id FOR UPDATE" if connection.features.has_select_for_update else ""
    cursor.execute(
        f"SELECT id, epoch, last_seq FROM {_SESSION} WHERE id IN ({_marks(ids)}){suffix}", ids
    )
    return {id_: _SessionState(epoch, last_seq) for id_, epoch, last_seq in cursor.fetchall()}


def _live_runs(cursor: Any, writes: Sequence[Write]) -> set[str]:
    ids = sorted(set().union(*(write.needs_live() for write in writes)))
    if not ids:
        return set()
    cursor.execute(f"SELECT id FROM {_RUN} WHERE id IN ({_marks(ids)}) AND ended_at IS NULL", ids)
    return {id_ for (id_,) in cursor.fetchall()}


_SESSION = Session._meta.db_table
_RUN = Run._meta.db_table
_EVENT = Event._meta.db_table

SESSION_COLUMNS = (
    "id", "service", "lang", "tags", "client", "runner_id", "epoch", "last_seq",
    "created_at", "updated_at", "close_reason",
)  # fmt: skip
RUN_COLUMNS = (
    "id", "session_id", "message_id", "message_key", "accepted_seq", "position", "ordinal",
    "status", "accepted_at", "started_at", "adoptions", "adopted_seq",
)  # fmt: skip
EVENT_COLUMNS = (
    "session_id", "seq", "epoch", "run_id", "event", "step_id", "created_at", "payload", "message",
)  # fmt: skip


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES ({_marks(columns)})"


_INSERT_SESSION = _insert(_SESSION, SESSION_COLUMNS)
_INSERT_RUN = _insert(_RUN, RUN_COLUMNS)
_INSERT_EVENT = _insert(_EVENT, EVENT_COLUMNS)
_START_RUN = (
    f"UPDATE {_RUN} SET status=%s, ordinal=%s, started_at=%s WHERE id=%s AND ended_at IS NULL"
)
_END_RUN = f"UPDATE {_RUN} SET status=%s, ended_at=%s WHERE id=%s AND ended_at IS NULL"
_CLOSE_SESSION = f"UPDATE {_SESSION} SET closed_at=%s, close_reason=%s WHERE id=%s"
_ADVANCE_SESSION = f"UPDATE {_SESSION} SET last_seq=%s, updated_at=%s WHERE id=%s"


def _insert_and_update(cursor: Any, rows: _Rows, sessions: dict[str, _SessionState]) -> None:
    advances = [
        (session.last_seq, rows.moment, id_)
        for id_, session in sessions.items()
        if session.is_changed
    ]
    for sql, values in (
        (_INSERT_SESSION, rows.sessions),
        (_INSERT_RUN, rows.runs),
        (_INSERT_EVENT, rows.events),
        (_START_RUN, rows.starts),
        (_END_RUN, rows.ends),
        (_CLOSE_SESSION, rows.closes),
        (_ADVANCE_SESSION, advances),
    ):
        if values:
            cursor.executemany(sql, values)


# Errors that say 'this row can't be stored', in MySQL's numbers: packet too large, incorrect
# string, data too long, invalid JSON. MySQL's driver reports some of them as operational errors.
_MYSQL_ROW_ERRORS = frozenset({1153, 1366, 1406, 3140})


def is_passing(error: Exception) -> bool:
    """Whether the database may take the same batch later, as opposed to a row it never will."""
    if isinstance(error, IntegrityError):
        return False
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    code = error.args[0] if error.args else None
    return code not in _MYSQL_ROW_ERRORS
