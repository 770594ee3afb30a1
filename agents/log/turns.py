"""Where the turns of a conversation begin and end in its log. Synchronous reads."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Max, Min, Q

from agents.models import Event, Run
from myagent.protocol import TERMINAL_EVENTS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader of whole turns continues: it attaches at `last_seq`.

    `done_seq` is the end of the newest turn that it has; of the entries up to there it needs only
    the messages that are still queued. `is_unfinished`: it may have a part of the next turn.
    """

    last_seq: int
    done_seq: int
    is_unfinished: bool


def place_after(session_id: str, seq: int | None) -> Place:
    """See `SessionPort.place_after`."""
    done_seq = _last_end(session_id) if seq is None else _last_end(session_id, seq__lte=seq)
    first_seq = _first_needed(session_id, done_seq)
    if first_seq is None:
        return Place(done_seq, done_seq, is_unfinished=False)
    return Place(min(first_seq - 1, done_seq), done_seq, is_unfinished=True)


def _last_end(session_id: str, **where: int) -> int:
    """The end of the newest turn, 0 if there is none.

    A message that was cancelled before its run started ends in the middle of
    another's turn: that one does not count.
    """
    found = Event.objects.filter(
        session_id=session_id, event__in=TERMINAL_EVENTS, run__ordinal__isnull=False, **where
    )
    return found.aggregate(last=Max("seq"))["last"] or 0


def _first_needed(session_id: str, done_seq: int) -> int | None:
    """The first message whose turn had not ended at `done_seq`."""
    ended_later = Event.objects.filter(
        session_id=session_id, seq__gt=done_seq, event__in=TERMINAL_EVENTS
    )
    runs = Run.objects.filter(session_id=session_id)
    needed = runs.filter(Q(status__in=Run.UNFINISHED) | Q(pk__in=ended_later.values("run_id")))
    first: int | None = needed.aggregate(first=Min("accepted_seq"))["first"]
    return first
