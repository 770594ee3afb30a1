"""Which traces somebody asks for. Synchronous reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from agents.archive.finding import seen_by
from agents.principals import Principal, may_see, may_use_service
from traces.models import Trace

LONGEST_WAIT = timedelta(days=1)
"""How long a run may have waited for its turn: its id is as old as its message."""


class NoTrace(Exception):
    """There is no such trace."""


class NotTheirs(Exception):
    """The trace belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What traces have to match. `principal`: see `agents.principals.may_see`.

    `since`: begun then or later. `text`: the question or the answer contains it, whatever its case.
    `has_errors`: the run did not end with an answer, or a step of it failed.
    """

    principal: Principal | None = None
    service: str = ""
    status: str = ""
    session_id: str = ""
    since: datetime | None = None
    text: str = ""
    has_errors: bool = False


def find(trace_id: str, principal: Principal | None) -> Trace:
    """One trace. Raises `NoTrace` and `NotTheirs`."""
    found = Trace.objects.filter(pk=trace_id).first()
    # MySQL finds ids in any case.
    if found is None or found.pk != trace_id:
        raise NoTrace(trace_id)
    if not (may_see(principal, found.principal) and may_use_service(principal, found.service)):
        raise NotTheirs(trace_id)
    return found


def select(wanted: Wanted) -> QuerySet[Trace]:
    """Those that match, the newest first."""
    found = seen_by(wanted.principal, Trace.objects.order_by("-pk"))
    exact = {
        "service": wanted.service,
        "status": wanted.status,
        "session_id": wanted.session_id,
    }
    found = found.filter(**{name: value for name, value in exact.items() if value})
    if wanted.since is not None:
        # The ids bound what is looked through.
        lowest = first_id(wanted.since, waited=LONGEST_WAIT)
        found = found.filter(started_at__gte=wanted.since, pk__gte=lowest)
    if wanted.has_errors:
        is_failed = Q(status__in=(Trace.Status.FAILED, Trace.Status.TIMED_OUT))
        found = found.filter(is_failed | Q(error_count__gt=0))
    if wanted.text.strip():
        # A terminal may have handed over what is no character.
        text = wanted.text.encode(errors="replace").decode()
        found = found.filter(Q(request__icontains=text) | Q(answer__icontains=text))
    return found


def first_id(at: datetime, *, waited: timedelta = timedelta()) -> str:
    """The lowest id of a run that was accepted at that time, or up to `waited` before it (see
    `agents.runtime.ids`).
    """
    milliseconds = max(0, int((at.timestamp() - waited.total_seconds()) * 1000)) & 0xFFFF_FFFF_FFFF
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"
