"""Reads of the log. Synchronous: call them through `DatabaseThreads`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from django.db.models import Case, Q, QuerySet, TextField, When
from django.db.models.functions import Length

from agents.log.entry import Logged
from agents.log.fold import Fact, History, RunState, fold_history
from agents.models import Event, Run, Session
from myagent import exact_json
from myagent.messages import ChatMessage
from myagent.protocol import TERMINAL_EVENTS

PAGE = 200
"""Entries read at once, at most."""

FIRST_PAGE = 16
"""Entries read first, while their size is not known."""

LogPlace = tuple[str, int]
"""A session, and a `seq` in its log."""

REMEMBERED_MESSAGES = 1_000
"""Message ids that a live session knows without asking the database."""

MOST_TURNS = 2_000
"""The most runs that a model's context can hold."""

MOST_TOGETHER = 64 * 1024
"""Characters of an entry that is read together with those of other sessions."""

_TURNS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    run_id: str
    message_id: str
    position: int
    ordinal: int | None
    started_at: datetime | None
    message: ChatMessage
    state: RunState
    last_seq: int
    """The run's newest entry in the log."""
    attempts: int = 1
    """How often it was begun, or continued after an interruption."""
    traceparent: str = ""


@dataclass(slots=True)
class Opened:
    """What a session needs to continue: see `LiveSession`."""

    history: History
    last_ordinal: int
    unfinished: list[UnfinishedRun] = field(default_factory=list)
    message_ids: dict[str, int] = field(default_factory=dict)
    knows_all_messages: bool = True

    @classmethod
    def empty(cls, max_tokens: int) -> Opened:
        """A session that has just begun."""
        return cls(History(max_tokens), 0)


def origin_of(session_id: str) -> tuple[str, str] | None:
    """The key of the principal that created the session, and its service; None if there is none."""
    return Session.objects.filter(pk=session_id).values_list("principal", "service").first()


def has_ended(session_id: str) -> bool:
    """Whether nothing more comes: the session is closed, or was removed."""
    return not Session.objects.filter(pk=session_id, closed_at__isnull=True).exists()


def entries_after(session_id: str, seq: int, limit: int = PAGE) -> list[Logged]:
    """The next entries of the log."""
    rows = (
        Event.objects.filter(session_id=session_id, seq__gt=seq)
        .order_by("seq")
        .values_list("seq", "event", "step_id", "created_at", "payload")[:limit]
    )
    return [
        Logged(session_id, seq, event, step_id, created_at, payload.encode())
        for seq, event, step_id, created_at, payload in rows
    ]


def page_after(session_id: str, seq: int, limit: int, characters: int) -> tuple[list[Logged], bool]:
    """The next entries, at most `limit`, and whether these are the last.

    Their sizes are read first: together they stay below a number of characters, unless the first
    one alone exceeds it.
    """
    sizes = (
        Event.objects.filter(session_id=session_id, seq__gt=seq)
        .order_by("seq")
        .values_list(Length("payload"), flat=True)[:limit]
    )
    measured, count, left = list(sizes), 0, characters
    for size in measured:
        left -= size or 0
        if left < 0 and count:
            break
        count += 1
    return entries_after(session_id, seq, count) if count else [], count == len(measured) < limit


def next_entries(places: Sequence[LogPlace]) -> dict[LogPlace, list[Logged]]:
    """For each place, the next entries in the log, at most `FIRST_PAGE`.

    They end before a large entry: many are read together, and all are in memory at once.
    """
    wanted = Q()
    for session_id, seq in places:
        wanted |= Q(session_id=session_id, seq__gt=seq, seq__lte=seq + FIRST_PAGE)
    found: dict[str, list[Logged]] = {session_id: [] for session_id, _ in places}
    small = Case(When(size__lte=MOST_TOGETHER, then="payload"), output_field=TextField(null=True))
    rows = Event.objects.filter(wanted).annotate(size=Length("payload"), small=small)
    columns = ("session_id", "seq", "event", "step_id", "created_at", "small")
    large: set[str] = set()
    for session_id, seq, event, step_id, created_at, payload in rows.order_by(
        "session_id", "seq"
    ).values_list(*columns):
        if payload is None or session_id in large:
            large.add(session_id)
            continue
        logged = Logged(session_id, seq, event, step_id, created_at, payload.encode())
        found[session_id].append(logged)
    return {
        (session_id, seq): [
            each for each in found[session_id] if seq < each.seq <= seq + FIRST_PAGE
        ]
        for session_id, seq in places
    }


def entry_at(session_id: str, seq: int) -> Logged | None:
    found = entries_after(session_id, seq - 1, 1)
    return found[0] if found and found[0].seq == seq else None


def oldest_seq(session_id: str) -> int:
    """Where the log begins now; 0 if it is empty."""
    seqs = Event.objects.filter(session_id=session_id).order_by("seq").values_list("seq", flat=True)
    return seqs.first() or 0


def newest_seq(session_id: str) -> int:
    """Where the log ends now; 0 if there is none."""
    seqs = Session.objects.filter(pk=session_id).values_list("last_seq", flat=True)
    return seqs.first() or 0


def response_to(session_id: str, step_id: str) -> Logged | None:
    """The response to a question."""
    found = Event.objects.filter(session_id=session_id, event="user.response", step_id=step_id)
    seq = found.values_list("seq", flat=True).first()
    return None if seq is None else entry_at(session_id, seq)


def accepted_seq(session_id: str, message_id: str) -> int | None:
    """Where the log holds a message, if it was accepted."""
    found = Run.objects.filter(session_id=session_id, message_key=Run.key_of(message_id))
    return found.values_list("accepted_seq", flat=True).first()


def end_of_message(session_id: str, message_id: str) -> Logged | None:
    """The entry that ended the run of an accepted message, if it has ended."""
    found = Run.objects.filter(session_id=session_id, message_key=Run.key_of(message_id))
    run = found.values_list("pk", "accepted_seq", "ended_at").first()
    if run is None or run[2] is None:
        return None
    run_id, seq, _ = run
    # By position in the log, which is indexed.
    ends = Event.objects.filter(
        session_id=session_id, seq__gt=seq, run_id=run_id, event__in=TERMINAL_EVENTS
    )
    end = ends.values_list("seq", flat=True).first()
    return None if end is None else entry_at(session_id, end)


def open_session(session_id: str, max_tokens: int, *, is_closed: bool = False) -> Opened:
    """The session's memory and its unfinished runs, from the log.

    The history of a closed session stays empty: its model is not called any more.
    """
    runs = Run.objects.filter(session_id=session_id)
    known = list(
        runs.order_by("-accepted_seq").values_list("message_id", "accepted_seq")[
            : REMEMBERED_MESSAGES + 1
        ]
    )
    started = [] if is_closed else _started(runs)
    opened = Opened(
        history=_history(session_id, started, max_tokens),
        last_ordinal=started[0][1] if started else 0,
        message_ids=dict(known[:REMEMBERED_MESSAGES]),
        knows_all_messages=len(known) <= REMEMBERED_MESSAGES,
    )
    for run in runs.filter(status__in=Run.UNFINISHED).order_by("ordinal", "position"):
        opened.unfinished.append(_unfinished(session_id, run))
    return opened


def open_short(session_ids: Collection[str], max_tokens: int) -> dict[str, Opened]:
    """The same of many open sessions whose logs are short, and that have no unfinished run."""
    runs: dict[str, list[_RunRow]] = {session_id: [] for session_id in session_ids}
    rows = Run.objects.filter(session_id__in=session_ids).order_by("-accepted_seq")
    columns = ("session_id", "pk", "message_id", "accepted_seq", "ordinal")
    for session_id, run_id, message_id, seq, ordinal in rows.values_list(*columns):
        runs[session_id].append((run_id, message_id, seq, ordinal))
    messages: dict[str, list[tuple[str, ChatMessage]]] = {id_: [] for id_ in session_ids}
    entries = Event.objects.filter(session_id__in=session_ids, message__isnull=False)
    ordered = entries.order_by("session_id", "seq")
    for session_id, of_run, message in ordered.values_list("session_id", "run_id", "message"):
        if of_run is not None and message is not None:
            messages[session_id].append((of_run, ChatMessage.from_dict(orjson.loads(message))))
    return {id_: _opened(runs[id_], messages[id_], max_tokens) for id_ in session_ids}


_RunRow = tuple[str, str, int, int | None]
"""`(run_id, message_id, accepted_seq, ordinal)`."""


def _opened(
    runs: Sequence[_RunRow], messages: Sequence[tuple[str, ChatMessage]], max_tokens: int
) -> Opened:
    """`runs` are newest first."""
    started = sorted((ordinal, run_id) for run_id, _, _, ordinal in runs if ordinal is not None)
    return Opened(
        history=fold_history(messages, [run_id for _, run_id in started], max_tokens),
        last_ordinal=started[-1][0] if started else 0,
        message_ids={message_id: seq for _, message_id, seq, _ in runs},
    )


def _started(runs: QuerySet[Run]) -> list[tuple[str, int, int]]:
    """`(run_id, ordinal, accepted_seq)` of those that a memory can hold, newest first."""
    rows = runs.filter(ordinal__isnull=False).order_by("-ordinal")
    return [
        (run_id, ordinal or 0, seq)
        for run_id, ordinal, seq in rows.values_list("pk", "ordinal", "accepted_seq")[:MOST_TURNS]
    ]


def _history(session_id: str, started: Sequence[tuple[str, int, int]], max_tokens: int) -> History:
    """Reads runs from the newest back until their messages fill the budget."""
    entries: list[tuple[str, ChatMessage]] = []
    order: list[str] = []
    tokens = 0
    for at in range(0, len(started), _TURNS_AT_ONCE):
        if tokens > max_tokens:
            break
        page = started[at : at + _TURNS_AT_ONCE]
        found = _messages(session_id, page)
        tokens += sum(message.tokens for _, message in found)
        entries = found + entries
        order = [run_id for run_id, _, _ in reversed(page)] + order
    return fold_history(entries, order, max_tokens)


def _messages(
    session_id: str, runs: Sequence[tuple[str, int, int]]
) -> list[tuple[str, ChatMessage]]:
    # By position in the log, which is indexed; no entry of a run precedes its message.
    rows = Event.objects.filter(
        session_id=session_id,
        seq__gte=min(seq for _, _, seq in runs),
        run_id__in=[run_id for run_id, _, _ in runs],
        message__isnull=False,
    ).order_by("seq")
    return [
        (run_id, ChatMessage.from_dict(orjson.loads(message)))
        for run_id, message in rows.values_list("run_id", "message")
        if run_id is not None and message is not None
    ]


def _unfinished(session_id: str, run: Run) -> UnfinishedRun:
    state = RunState()
    first: ChatMessage | None = None
    last_seq = run.accepted_seq
    traceparent = ""
    rows = Event.objects.filter(
        session_id=session_id, seq__gte=run.accepted_seq, run_id=run.pk
    ).order_by("seq")
    for seq, event, step_id, created_at, payload, encoded in rows.values_list(
        "seq", "event", "step_id", "created_at", "payload", "message"
    ):
        message = ChatMessage.from_dict(orjson.loads(encoded)) if encoded else None
        first = first or message
        # A tool that runs again gets the same arguments.
        data = exact_json.loads(payload)
        fact = Fact(event, step_id, created_at, data["content"], data["metadata"], message)
        state.apply(fact)
        if event == "user.message":
            traceparent = fact.metadata.get("traceparent", "")
        last_seq = seq
    assert first is not None, "a run begins with its message"
    return UnfinishedRun(
        run_id=run.pk,
        message_id=run.message_id,
        position=run.position,
        ordinal=run.ordinal,
        started_at=run.started_at,
        message=first,
        state=state,
        last_seq=last_seq,
        attempts=run.attempts,
        traceparent=traceparent,
    )
