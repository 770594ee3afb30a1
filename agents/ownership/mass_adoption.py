"""Takes over many sessions at once, as when all clients return to a restarted server.

One by one, each session needs a dozen statements, one of which waits for the disk; here about eight
serve all of them. Only simple sessions are taken: open, with a short log, no unfinished run, no
live owner and a row that is not locked. `agents.ownership.adoption` takes the others, one by one.
Synchronous.
"""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Length

from agents.log import reading
from agents.models import Event, Run, Server, Session
from agents.ownership import servers, taking
from agents.ownership.adoption import Adopted
from agents.ownership.taking import Taken

MOST_SESSIONS = 64
"""Sessions in one batch: they are read together, and the first waits for the last."""

MOST_ENTRIES = 100
"""Maximum number of entries of a log that is read together with others."""

MOST_CHARACTERS = 256 * 1024
"""Maximum size of a model's context that is read with others: all are in memory at once."""


def adopt_together(
    session_ids: Collection[str], services: Collection[str], own_id: str
) -> dict[str, Adopted]:
    """Makes `own_id` the owner of the simple sessions, and reads what each needs to continue.

    The others are left unchanged. Raises `django.db.Error`; then some may have been taken, and can
    be taken again.
    """
    features = connection.features
    if features.has_select_for_update and not features.has_select_for_update_skip_locked:
        # A single locked row would otherwise delay all of them.
        return {}
    _end_gone_owners(session_ids, own_id)
    taken = _take_plain(session_ids, services, own_id)
    opened = reading.open_short(list(taken), settings.MYAGENT_CONTEXT_TOKENS)
    return {session_id: Adopted(taken[session_id], opened[session_id]) for session_id in opened}


def _end_gone_owners(session_ids: Collection[str], own_id: str) -> None:
    owners = Server.objects.filter(sessions__in=session_ids, ended_at__isnull=True)
    for server_id in owners.exclude(pk=own_id).distinct().values_list("pk", flat=True):
        servers.end_if_gone(server_id)


def _take_plain(
    session_ids: Collection[str], services: Collection[str], own_id: str
) -> dict[str, Taken]:
    with transaction.atomic():
        plain = _lock_plain(session_ids, services, own_id)
        # The rows are locked, so each still has the epoch that was read.
        Session.objects.filter(pk__in=plain).update(owner_id=own_id, epoch=F("epoch") + 1)
    return {session.pk: taking.taken(session, session.epoch + 1) for session in plain.values()}


def _lock_plain(
    session_ids: Collection[str], services: Collection[str], own_id: str
) -> dict[str, Session]:
    rows = (
        Session.objects.select_for_update(skip_locked=True)
        .filter(pk__in=session_ids, closed_at__isnull=True, last_seq__lte=MOST_ENTRIES)
        .order_by("pk")
    )
    # MySQL finds ids in any case; the log knows one spelling.
    found = [each for each in rows if each.pk in session_ids and each.service in services]
    others = {each.owner_id for each in found} - {None, own_id}
    ended = Server.objects.filter(pk__in=others, ended_at__isnull=False)
    free = {None, own_id, *ended.values_list("pk", flat=True)}
    unfinished = Run.objects.filter(session__in=found, status__in=Run.UNFINISHED)
    not_plain = {*unfinished.values_list("session_id", flat=True), *_large(found)}
    return {each.pk: each for each in found if each.owner_id in free and each.pk not in not_plain}


def _large(sessions: Collection[Session]) -> QuerySet[Event, str]:
    """The sessions with a large memory."""
    entries = Event.objects.filter(session__in=sessions, message__isnull=False)
    sizes = entries.values("session_id").annotate(size=Sum(Length("message")))
    return sizes.filter(size__gt=MOST_CHARACTERS).values_list("session_id", flat=True)
