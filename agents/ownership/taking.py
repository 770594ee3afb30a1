"""Which server may write to a session's log: sessions taken and given up.

All of it by conditional updates and the database's clock. Synchronous: call it
through `DatabaseThreads`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Now

from agents.models import Run, Server, Session
from agents.ownership import requests, servers
from agents.runtime.database_errors import is_about_a_lock


class UnknownSession(Exception):
    """There is no such session in the services that are served here."""


class OwnedElsewhere(Exception):
    """Another live server owns the session. `server_id` names it."""

    def __init__(self, server_id: str) -> None:
        super().__init__(server_id)
        self.server_id = server_id


class Locked(OperationalError):
    """The session's row is locked by another process, perhaps one that is frozen."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A session that this server now owns; of a closed one only the log is read."""

    session_id: str
    service: str
    epoch: int
    lang: str
    principal: str
    last_seq: int
    is_closed: bool


def owned_by_the_living(own_id: str) -> Q:
    """Whether the owner of a session is alive, as far as the server `own_id` may judge."""
    is_owned = Q(owner__isnull=False, owner__ended_at__isnull=True)
    return is_owned & (Q(owner__lease_until__gt=Now()) | ~Q(Exists(servers.judging(own_id))))


def _has_rested() -> Q:
    """No run of the session is unfinished, and its owner has not written to it for long."""
    unfinished = Run.objects.filter(session=OuterRef("pk"), status__in=Run.UNFINISHED)
    since = Now() - timedelta(seconds=settings.MYAGENT_OWNER_IDLE_S)
    return ~Q(Exists(unfinished)) & Q(updated_at__lte=since)


def take(session_id: str, services: Collection[str], server_id: str) -> Taken:
    """Makes the server the owner of a session of these services, with a new epoch.

    A session that rests is taken even from an owner that is alive, which is told so. Raises
    `UnknownSession`, `OwnedElsewhere` if another server is alive, or `Locked`: it does not wait for
    locks.
    """
    is_owned = owned_by_the_living(server_id)
    while True:
        session = (
            Session.objects.filter(pk=session_id)
            .annotate(is_owned=_whether(is_owned), has_rested=_whether(_has_rested()))
            .select_related("owner")
            .first()
        )
        # MySQL finds ids in any case; the log knows one spelling.
        if session is None or session.pk != session_id or session.service not in services:
            raise UnknownSession(session_id)
        if session.closed_at is not None:
            return taken(session, session.epoch)
        owner = session.owner
        if session.is_owned and owner is not None and owner.pk != server_id:
            if not session.has_rested:
                raise OwnedElsewhere(owner.pk)
            if _make_owner(session, server_id, former_id=owner.pk):
                session.refresh_from_db(fields=["last_seq", "closed_at"])
                return taken(session, session.epoch + 1)
            continue
        if owner is not None and owner.pk != server_id and not _is_declared_dead(owner):
            continue
        if _make_owner(session, server_id):
            # The former owner may have written between the look and the update.
            session.refresh_from_db(fields=["last_seq", "closed_at"])
            return taken(session, session.epoch + 1)


def _whether(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=False, output_field=BooleanField())


def _make_owner(session: Session, server_id: str, *, former_id: str | None = None) -> bool:
    """Whether the server is the owner now: False if the session's epoch is newer.

    `former_id`: an owner that is alive; then the session must still rest. Raises `Locked`.
    """
    own = Session.objects.filter(pk=session.pk, epoch=session.epoch)
    if former_id is not None:
        own = own.filter(_has_rested())
    features = connection.features
    with transaction.atomic():
        if features.has_select_for_update_nowait and not _is_locked_now(own):
            return False
        is_taken = bool(own.update(owner_id=server_id, epoch=F("epoch") + 1))
        if is_taken and former_id is not None:
            requests.tell_lost(session.pk, former_id, session.epoch + 1)
        return is_taken


def _is_locked_now(rows: QuerySet[Session]) -> bool:
    """Locks the rows; returns whether there are any. Raises `Locked` if another process has."""
    try:
        return bool(rows.select_for_update(nowait=True).values_list("pk"))
    except OperationalError as error:
        if is_about_a_lock(error):
            raise Locked(*error.args) from error
        raise


def _is_declared_dead(seen: Server) -> bool:
    """Ends the expired lease that was seen; False if it was renewed meanwhile.

    A server that slept past its lease learns so, at its next renewal, that its
    sessions are gone, also those for which it has nothing to write.
    """
    server = Server.objects.filter(pk=seen.pk)
    # A renewal prolongs it by much more. SQLite compares texts, where '05.000' is after '05'.
    not_after = seen.lease_until + timedelta(milliseconds=1)
    server.filter(ended_at__isnull=True, lease_until__lte=not_after).update(ended_at=Now())
    return server.filter(ended_at__isnull=False).exists()


def taken(session: Session, epoch: int) -> Taken:
    """What the server has taken: the session as it was read, under its new epoch."""
    return Taken(
        session_id=session.pk,
        service=session.service,
        epoch=epoch,
        lang=session.lang,
        principal=session.principal,
        last_seq=session.last_seq,
        is_closed=session.closed_at is not None,
    )


def give_up(epochs: Mapping[str, int], server_id: str) -> None:
    """Releases sessions, given with their epochs, unless another server has taken them since."""
    owned = Q()
    for session_id, epoch in epochs.items():
        owned |= Q(pk=session_id, epoch=epoch)
    Session.objects.filter(owned, owner_id=server_id).update(owner=None)


def adoptable(services: Collection[str], own_id: str) -> list[str]:
    """Open sessions of the services with unfinished runs that no other living server owns.

    Oldest first; those that this server owns are among them.
    """
    unfinished = Run.objects.filter(
        status__in=Run.UNFINISHED, session__service__in=services, session__closed_at__isnull=True
    )
    is_free = (
        Q(session__owner__isnull=True)
        | Q(session__owner_id=own_id)
        | Q(session__owner__ended_at__isnull=False)
        | (Q(session__owner__lease_until__lte=Now()) & Q(Exists(servers.judging(own_id))))
    )
    orphaned = unfinished.filter(is_free)
    return list(
        dict.fromkeys(orphaned.order_by("accepted_at").values_list("session_id", flat=True))
    )
