"""Which stored conversations somebody asks for. Synchronous reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from agents.archive.searching import said_in
from agents.archive.status import in_status, with_status
from agents.models import Session
from agents.principals import Principal, key_of, may_act, may_see, may_use_service

M = TypeVar("M", bound=Model)

ORDERS = ("updated_at", "created_at")


class NoSession(Exception):
    """There is no such conversation."""


class NotTheirs(Exception):
    """The conversation belongs to somebody else."""


class OnlyRead(Exception):
    """The conversation may be read, but belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What conversations have to match. `principal`: see `agents.principals.may_see`.

    `is_own`: the principal began it itself; `status`: a `Status`, or `OPEN`; `since`: something
    happened in them then or later. `text`: their title or what was said in them contains it,
    whatever its case.
    """

    principal: Principal | None = None
    is_own: bool = False
    service: str = ""
    status: str = ""
    since: datetime | None = None
    text: str = ""


def find(session_id: str, principal: Principal | None, *, is_to_act: bool = False) -> Session:
    """One conversation, with its status. Raises `NoSession` and `NotTheirs`.

    `is_to_act`: the principal wants to take part in it; then it raises `OnlyRead` as well.
    """
    found = with_status(Session.objects.filter(pk=session_id)).first()
    # MySQL finds ids in any case; the log knows one spelling.
    if found is None or found.pk != session_id:
        raise NoSession(session_id)
    if not (may_see(principal, found.principal) and may_use_service(principal, found.service)):
        raise NotTheirs(session_id)
    if is_to_act and not may_act(principal, found.principal):
        raise OnlyRead(session_id)
    return found


def seen_by(principal: Principal | None, rows: QuerySet[M]) -> QuerySet[M]:
    """Those that the principal may see, of rows with a `principal` who began them and a `service`.

    For one of them, `may_see` and `may_use_service` say the same.
    """
    if principal is None:
        return rows
    if not principal.sees_everything:
        rows = rows.filter(principal=principal.key)
    return rows if principal.services is None else rows.filter(service__in=principal.services)


def select(wanted: Wanted) -> QuerySet[Session]:
    """Those that match, with their status, in no order."""
    found = seen_by(wanted.principal, Session.objects.all())
    if wanted.is_own:
        found = found.filter(principal=key_of(wanted.principal))
    if wanted.service:
        found = found.filter(service=wanted.service)
    if wanted.since is not None:
        found = found.filter(updated_at__gte=wanted.since)
    found = in_status(found, wanted.status) if wanted.status else with_status(found)
    return _with_text(found, wanted.text) if wanted.text.strip() else found


def _with_text(found: QuerySet[Session], text: str) -> QuerySet[Session]:
    # A terminal may have handed over what is no character.
    text = text.encode(errors="replace").decode()
    return found.filter(Q(title__icontains=text) | Q(pk__in=said_in(found, text)))
