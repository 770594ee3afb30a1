"""Which servers follow which sessions, and what owners and followers look at. Synchronous."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import BooleanField, Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Now

from agents.log import reading
from agents.log.entry import Logged
from agents.models import LEASE_HOLDS, Event, Follower, InboxRow, Run, Server, Session
from agents.ownership import taking
from agents.ownership.decisions import OPEN

MOST_REQUESTS = 500
"""Requests that an owner sees at one look."""

READ_TOGETHER = 32
"""Maximum number of logs that are read together."""

PAGE_CHARACTERS = 256 * 1024


@dataclass(slots=True)
class Look:
    """What an owner sees.

    `requests`: by session, the rows that wait; `lost`: notices, as `(row, session, epoch)`;
    `followers`: by session, the servers that follow it.
    """

    requests: dict[str, list[int]] = field(default_factory=dict)
    lost: list[tuple[int, str, int]] = field(default_factory=list)
    followers: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tail:
    """What a follower sees of a session: its owner, '' if it has none, and the log's next entries.

    `is_owned`: whether the owner is alive. `end`: how far the log was read, beyond the last entry
    if later ones are gone; `is_whole`: whether that is all.
    """

    owner_id: str
    is_owned: bool
    entries: list[Logged]
    end: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Followed:
    """A session as its follower finds it.

    `owner_id`: '' if it is not known. `runs` are unfinished; `asked`, the open questions.
    """

    owner_id: str
    service: str
    lang: str
    principal: str
    last_seq: int
    runs: set[str]
    asked: set[str]


def announce(server_id: str, session_ids: Iterable[str]) -> None:
    """The server follows the sessions from now on."""
    rows = [Follower(server_id=server_id, session_id=session_id) for session_id in session_ids]
    Follower.objects.bulk_create(rows, ignore_conflicts=True)


def withdraw(server_id: str, session_ids: Iterable[str]) -> None:
    """The server follows the sessions no more."""
    Follower.objects.filter(server_id=server_id, session__in=list(session_ids)).delete()


def forget_ended() -> None:
    """Deletes the rows of servers that have ended."""
    alive = Server.objects.filter(ended_at__isnull=True)
    Follower.objects.exclude(server_id__in=alive.values("pk")).delete()


def look(own_id: str) -> Look:
    """What waits for the owner."""
    found = Look()
    waits = Q(state=InboxRow.State.NEW) | Q(epoch__lt=F("session__epoch"))
    is_ours = (
        Q(session__owner_id=own_id, kind=InboxRow.Kind.REQUEST)
        | Q(addressee=own_id)
        # Nobody owns a closed session for long.
        | Q(follower=own_id, kind=InboxRow.Kind.REQUEST, session__closed_at__isnull=False)
    )
    rows = InboxRow.objects.filter(waits, is_ours, state__in=OPEN, deadline__gt=Now())
    columns = ("pk", "session_id", "kind", "epoch")
    for row_id, session_id, kind, epoch in rows.order_by("pk").values_list(*columns)[
        :MOST_REQUESTS
    ]:
        if kind == InboxRow.Kind.LOST:
            found.lost.append((row_id, session_id, epoch))
        else:
            found.requests.setdefault(session_id, []).append(row_id)
    found.followers = _followers(own_id)
    return found


def _followers(own_id: str) -> dict[str, frozenset[str]]:
    if not Follower.objects.exclude(server_id=own_id).exists():
        # The usual case, which is cheap.
        return {}
    lives = Exists(Server.objects.filter(LEASE_HOLDS, pk=OuterRef("server_id")))
    rows = Follower.objects.filter(lives, session__owner_id=own_id).exclude(server_id=own_id)
    found: dict[str, set[str]] = {}
    for session_id, server_id in rows.values_list("session_id", "server_id"):
        found.setdefault(session_id, set()).add(server_id)
    return {session_id: frozenset(ids) for session_id, ids in found.items()}


def tails(places: Mapping[str, int], own_id: str) -> dict[str, Tail]:
    """What followed sessions look like now; `places`: the newest entry that is known of each.

    Sessions that do not exist any more are missing.
    """
    owned = taking.owned_by_the_living(own_id) & ~Q(owner_id=own_id)
    sessions = Session.objects.filter(pk__in=places).annotate(
        is_owned=Case(When(owned, then=Value(True)), default=False, output_field=BooleanField())
    )
    seen = {
        session_id: (owner_id or "", is_owned, last_seq)
        for session_id, owner_id, is_owned, last_seq in sessions.values_list(
            "pk", "owner_id", "is_owned", "last_seq"
        )
        if session_id in places
    }
    grown = [id_ for id_, (_, _, last_seq) in seen.items() if last_seq > places[id_]]
    entries = _next_entries({id_: places[id_] for id_ in grown})
    found = {}
    for id_, (owner_id, is_owned, last_seq) in seen.items():
        read = entries.get(id_, [])
        # Without any entry, the log was read to its end.
        end = read[-1].seq if read else max(places[id_], last_seq)
        found[id_] = Tail(owner_id, is_owned, read, end, is_whole=end >= last_seq)
    return found


def _next_entries(places: Mapping[str, int]) -> dict[str, list[Logged]]:
    found: dict[str, list[Logged]] = {}
    items = list(places.items())
    for at in range(0, len(items), READ_TOGETHER):
        for (session_id, seq), entries in reading.next_entries(
            items[at : at + READ_TOGETHER]
        ).items():
            if not entries or entries[0].seq != seq + 1:
                # A large entry comes next.
                entries, _ = reading.page_after(session_id, seq, reading.PAGE, PAGE_CHARACTERS)
            found[session_id] = entries
    return found


def read(session_id: str, services: Collection[str]) -> Followed:
    """The session, to be followed. Raises `UnknownSession`."""
    session = Session.objects.filter(pk=session_id).first()
    if session is None or session.pk != session_id or session.service not in services:
        raise taking.UnknownSession(session_id)
    runs = Run.objects.filter(session=session, status__in=Run.UNFINISHED)
    unfinished = dict(runs.values_list("pk", "status"))
    current = next((id_ for id_, status in unfinished.items() if status == "running"), None)
    return Followed(
        owner_id=session.owner_id or "",
        service=session.service,
        lang=session.lang,
        principal=session.principal,
        last_seq=session.last_seq,
        runs=set(unfinished),
        asked=_open_questions(session_id, current) if current else set(),
    )


def current_run(session_id: str) -> str | None:
    """The run that is under way, as far as the log knows."""
    running = Run.objects.filter(session_id=session_id, status=Run.Status.RUNNING)
    return running.order_by("ordinal").values_list("pk", flat=True).first()


def _open_questions(session_id: str, run_id: str) -> set[str]:
    accepted_seq = Run.objects.filter(pk=run_id).values_list("accepted_seq", flat=True)[:1]
    kinds = ("agent.user_confirm", "user.response", "agent.tool_result")
    rows = Event.objects.filter(
        session_id=session_id, seq__gte=accepted_seq, run_id=run_id, event__in=kinds
    ).order_by("seq")
    asked: set[str] = set()
    for event, step_id in rows.values_list("event", "step_id"):
        if event == "agent.user_confirm":
            asked.add(step_id)
        else:
            asked.discard(step_id)
    return asked
