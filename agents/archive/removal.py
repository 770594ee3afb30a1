"""Removes conversations that nobody works on. Synchronous; may be called again after a failure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, QuerySet, Value, When
from django.db.models.functions import Coalesce, Now

from agents.models import LEASE_HOLDS, Event, Run, Server, Session

AT_ONCE = 200
"""Conversations that are looked up together."""

ENTRIES_AT_ONCE = 2_000
"""Entries that are deleted in one transaction: other writers wait that long at most."""


def at_rest(sessions: QuerySet[Session]) -> QuerySet[Session]:
    """Those that no living server owns, and that have no unfinished run."""
    owner = Server.objects.filter(LEASE_HOLDS, pk=OuterRef("owner_id"))
    unfinished = Run.objects.filter(session_id=OuterRef("pk"), status__in=Run.UNFINISHED)
    return sessions.filter(~Exists(owner), ~Exists(unfinished))


def older(before: datetime) -> QuerySet[Session]:
    """Those at rest in which nothing has happened since `before`."""
    return at_rest(Session.objects.filter(updated_at__lt=before))


def remove_older(before: datetime) -> Iterator[str]:
    """Removes `older(before)` one by one, and yields each id once it is gone."""
    last = ""
    while page := list(
        older(before).filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]
    ):
        for session_id in page:
            if remove_at_rest(session_id, before):
                yield session_id
        last = page[-1]


def remove_at_rest(session_id: str, before: datetime | None = None) -> bool:
    """Removes a conversation if it is at rest, and older than `before`; whether it was.

    It is closed first, under a new epoch: from then on nobody can write to it.
    """
    found = Session.objects.filter(pk=session_id)
    if before is not None:
        found = found.filter(updated_at__lt=before)
    # The conditions and the change are one statement: a server may be about to take it.
    expired = Value(Session.CloseReason.EXPIRED)
    if not at_rest(found).update(
        epoch=F("epoch") + 1,
        owner=None,
        closed_at=Coalesce("closed_at", Now()),
        close_reason=Case(When(close_reason="", then=expired), default=F("close_reason")),
    ):
        return False
    remove_closed(session_id)
    return True


def remove_closed(session_id: str) -> None:
    """Removes a conversation that has ended: its entries, its runs, and its row as the last."""
    entries = Event.objects.filter(session_id=session_id)
    seqs = entries.order_by("seq").values_list("seq", flat=True)
    while len(page := list(seqs[:ENTRIES_AT_ONCE])) == ENTRIES_AT_ONCE:
        delete_rows(entries.filter(seq__lte=page[-1]))
    session = Session.objects.filter(pk=session_id)
    with transaction.atomic():
        # The log locks them in this order, too.
        session.select_for_update().values_list("pk").first()
        delete_rows(entries)
        delete_rows(Run.objects.filter(session_id=session_id))
        session.delete()


def delete_rows(rows: QuerySet[Any]) -> None:
    """Deletes rows by one statement: their dependents, without an index here, are gone already."""
    cast(Any, rows)._raw_delete(rows.db)
