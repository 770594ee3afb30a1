"""The inbox: what clients at one server ask of the owner of their session, another server.

A row is for whoever owns the session at the time, so that it needs no new address when the owner
changes. All by conditional updates and the database's clock; `decisions` says why they are right.
Synchronous.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from agents.models import InboxRow, Session
from agents.ownership.decisions import OPEN
from agents.principals import Principal, key_of, may_act

NOTICE_VALID = timedelta(hours=1)
"""A server that does not look for as long has lost its lease, and every session with it."""

KEPT = timedelta(minutes=5)
"""Rows are deleted by who wrote them; those of dead servers, so long after their deadline."""

SWEPT_AT_ONCE = 1000

State = InboxRow.State


@dataclass(frozen=True, slots=True)
class Asked:
    """A client's request. `number` is the follower's own; `payload`, the event's JSON."""

    follower: str
    number: int
    session_id: str
    payload: str
    principal: Principal | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that was taken to be carried out."""

    row_id: int
    follower: str
    payload: str
    principal: Principal | None


@dataclass(frozen=True, slots=True)
class Answered:
    """`answer`: JSON, '' if the log holds the answer; None if the request has expired."""

    row_id: int
    answer: str | None


def write(asked: Asked) -> int:
    """Writes a request; its row. May be called again after a failure of unknown outcome."""
    written = InboxRow.objects.filter(follower=asked.follower, number=asked.number)
    found = written.values_list("pk", flat=True).first()
    if found is not None:
        return found
    principal = asked.principal
    row = InboxRow(
        follower=asked.follower,
        number=asked.number,
        session_id=asked.session_id,
        kind=InboxRow.Kind.REQUEST,
        payload=asked.payload,
        principal=key_of(principal),
        # Nobody's is for those who may act everywhere.
        acts_everywhere=may_act(principal, ""),
        deadline=Now() + timedelta(seconds=settings.MYAGENT_INBOX_DEADLINE_S),
    )
    row.save(force_insert=True)
    return row.pk


def tell_lost(session_id: str, former_id: str, epoch: int) -> None:
    """Tells the former owner that another server has the session from this epoch on."""
    notice = InboxRow(
        follower=former_id,
        # No request of the same server has a number as high.
        number=_notice_number(session_id, epoch),
        addressee=former_id,
        session_id=session_id,
        kind=InboxRow.Kind.LOST,
        epoch=epoch,
        deadline=Now() + NOTICE_VALID,
    )
    notice.save(force_insert=True)


def take(row_ids: Sequence[int], epoch: int, *, is_again: bool = False) -> list[Taken]:
    """Takes those of the requests that may be carried out under the epoch, in their order.

    `is_again`: taking these rows has failed before, with unknown outcome. Those that were taken
    then are returned as well, so none of them may have been carried out under this epoch.
    """
    may_be = Q(state=State.NEW) | Q(state=State.TAKEN, epoch__lt=epoch)
    may_be &= Q(deadline__gt=Now())
    if is_again:
        may_be |= Q(state=State.TAKEN, epoch=epoch)
    taken = []
    with transaction.atomic():
        for row_id in sorted(row_ids):
            row = InboxRow.objects.filter(may_be, pk=row_id)
            if row.update(state=State.TAKEN, epoch=epoch):
                taken.append(row_id)
    rows = InboxRow.objects.filter(pk__in=taken).order_by("pk")
    return [Taken(row.pk, row.follower, row.payload, _principal_of(row)) for row in rows]


def answer(row_id: int, session_id: str, epoch: int, told: str) -> bool:
    """Answers a request that was taken under `epoch`; False if that is over."""
    with transaction.atomic():
        session = Session.objects.select_for_update().filter(pk=session_id, epoch=epoch)
        if not session.values_list("pk"):
            return False
        row = InboxRow.objects.filter(pk=row_id, state=State.TAKEN, epoch=epoch)
        return bool(row.update(state=State.DONE, answer=told))


def expire(row_ids: Collection[int]) -> None:
    """Gives requests up whose deadline has passed, unless their owner has taken them."""
    late = InboxRow.objects.filter(pk__in=row_ids, state__in=OPEN, deadline__lte=Now())
    columns = ("pk", "session__epoch", "session__closed_at", "epoch")
    for row_id, session_epoch, closed_at, epoch in late.values_list(*columns):
        # Epochs only grow: what is over by what was read stays so.
        over = session_epoch or 0
        limit = max(over, epoch + 1) if closed_at is not None or session_epoch is None else over
        may = Q(state=State.NEW) | Q(state=State.TAKEN, epoch__lt=limit)
        InboxRow.objects.filter(may, pk=row_id).update(state=State.EXPIRED)


def answers(row_ids: Collection[int]) -> list[Answered]:
    """The requests that need no more waiting for; those that are gone count as expired."""
    rows = InboxRow.objects.filter(pk__in=row_ids).values_list("pk", "state", "answer")
    found = {row_id: (state, told) for row_id, state, told in rows}
    gone = (State.EXPIRED, "")
    return [
        Answered(row_id, None if state == State.EXPIRED else told)
        for row_id, (state, told) in ((row_id, found.get(row_id, gone)) for row_id in row_ids)
        if state not in OPEN
    ]


def forget(row_ids: Collection[int]) -> None:
    """Deletes rows whose answer has been passed on, or notices that were heard."""
    InboxRow.objects.filter(pk__in=row_ids).delete()


def sweep() -> None:
    """Deletes what dead servers left behind."""
    old = InboxRow.objects.filter(deadline__lt=Now() - KEPT)
    forget(list(old.values_list("pk", flat=True)[:SWEPT_AT_ONCE]))


def _principal_of(row: InboxRow) -> Principal | None:
    if row.acts_everywhere and not row.principal:
        return None
    may_all = row.acts_everywhere
    return Principal(row.principal, row.principal, may_all, acts_everywhere=may_all)


def _notice_number(session_id: str, epoch: int) -> int:
    digest = blake2b(f"{session_id} {epoch}".encode(), digest_size=7).digest()
    return 2**62 + int.from_bytes(digest)
