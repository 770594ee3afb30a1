"""What a batch of writes has to know of the log before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from agents.log.transaction import Answer, Query
from agents.log.writes import Write
from agents.models import Event, Run, Session

_SESSION = Session._meta.db_table
_RUN = Run._meta.db_table
_EVENT = Event._meta.db_table

MessageKey = tuple[str, str]
"""A session, and what stands for a message's id there (see `Run.key_of`)."""


@dataclass(slots=True)
class SessionState:
    """A session's row as the batch leaves it."""

    epoch: int
    last_seq: int
    is_changed: bool = False


class Lookup:
    """Of the writes' sessions, those that exist; of the runs that they need alive, those that are
    stored and have not ended. Both are locked until the transaction ends: see `entry_under`.

    `queries` ask for it; `read` takes their answers.
    """

    def __init__(self, writes: Sequence[Write]) -> None:
        # Sorted: two processes that lock the same rows do it in the same order.
        self._sessions = sorted({write.session_id for write in writes if write.new_session is None})
        self._runs = sorted(set().union(*(write.needs_live() for write in writes)))

    @property
    def queries(self) -> Iterator[Query]:
        if self._sessions:
            yield locking(self._sessions)
        if self._runs:
            places = marks(self._runs)
            text = f"SELECT id FROM {_RUN} WHERE id IN ({places}) AND ended_at IS NULL"
            yield Query(text + _for_update(), self._runs)

    def read(self, answers: Iterable[Answer]) -> tuple[dict[str, SessionState], set[str]]:
        left = iter(answers)
        sessions = next(left) if self._sessions else ()
        runs = next(left) if self._runs else ()
        states = {id_: SessionState(epoch, last_seq) for id_, epoch, last_seq in sessions}
        return states, {id_ for (id_,) in runs}


def locking(session_ids: Sequence[str]) -> Query:
    """Id, epoch and last place in the log of those of the sessions that exist; locks them."""
    places = marks(session_ids)
    text = f"SELECT id, epoch, last_seq FROM {_SESSION} WHERE id IN ({places}) ORDER BY id"
    return Query(text + _for_update(), session_ids)


def entry_under(epoch: int, session_id: str, seq: int) -> Query:
    """The entry at this place of the log, if it was written under this epoch.

    Locked, so that MySQL lets the transaction insert into the table as well, even if somebody waits
    meanwhile to lock it as a whole: one that had only read would be undone as a deadlock.
    """
    text = f"SELECT id FROM {_EVENT} WHERE session_id=%s AND seq=%s AND epoch=%s"
    return Query(text + _for_update(), (session_id, seq, epoch))


def _for_update() -> str:
    return " FOR UPDATE" if connection.features.has_select_for_update else ""


def key_of(write: Write) -> MessageKey:
    """The key of the message that the write's new run is for."""
    assert write.new_run is not None
    return write.session_id, Run.key_of(write.new_run.message_id)


def accepted_messages(cursor: CursorWrapper, writes: Sequence[Write]) -> dict[MessageKey, int]:
    """The place in the log of each new message that was accepted before."""
    keys = sorted({key_of(write) for write in writes if write.new_run is not None})
    if not keys:
        return {}
    # Alternatives, and not one list of pairs: every database finds each by the index.
    wanted = " OR ".join("(session_id=%s AND message_key=%s)" for _ in keys)
    cursor.execute(
        f"SELECT session_id, message_key, accepted_seq FROM {_RUN} WHERE {wanted}",
        [value for key in keys for value in key],
    )
    return {(session_id, key): seq for session_id, key, seq in cursor.fetchall()}


def marks(values: Iterable[Any]) -> str:
    """A place for each value."""
    return ",".join("%s" for _ in values)
