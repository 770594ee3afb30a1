"""Whose the sessions of external services are, and where they are. Synchronous.

Nothing else of them is known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from django.db.models.functions import Now

from agents.models import ExternalSession, Session, digest_of


@dataclass(frozen=True, slots=True)
class Known:
    """The service of a session, and the key of its creator."""

    service: str
    principal: str


def claim(session_id: str, known: Known) -> bool:
    """Writes down that the session is there. False: it is somebody else's, and stays so.

    May be called again.
    """
    if Session.objects.filter(pk=session_id).exists():
        return False
    row, is_new = ExternalSession.objects.get_or_create(
        key=digest_of(session_id),
        defaults={"service": known.service, "principal": known.principal, "used_at": Now()},
    )
    return is_new or _known(row) == known


def find(session_id: str) -> Known | None:
    row = ExternalSession.objects.filter(pk=digest_of(session_id)).first()
    return None if row is None else _known(row)


def touch(session_id: str) -> None:
    """The session is in use."""
    ExternalSession.objects.filter(pk=digest_of(session_id)).update(used_at=Now())


def older(before: datetime) -> QuerySet[ExternalSession]:
    """Those that nobody has created or resumed since `before`."""
    return ExternalSession.objects.filter(used_at__lt=before)


def _known(row: ExternalSession) -> Known:
    return Known(row.service, row.principal)
