"""Which traces somebody asks for. Synchronous reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from agents.archive.finding import seen_by
from agents.principals import Principal, may_see, may_use_service
from traces.models import NANO, Trace

LOOKED_THROUGH = 10_000
"""Traces that one page looks through at most, for what no index finds."""

LONGEST_WAIT = timedelta(days=1)
"""How long a run may have waited for its turn: its id is as old as its message."""


class NoTrace(Exception):
    """There is no such trace."""


class NotTheirs(Exception):
    """The trace belongs to somebody else."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What traces have to match. `principal`: see `agents.principals.may_see`.

    `client`: the key of the principal who asked. Begun at `since` or later, and before `until`.
    `min_cost`: in the currency of the site; what has no cost is not found. `text`: the question or
    the answer contains it, whatever its case. `has_errors`: the run did not end with an answer, or
    a step of it failed. `rerun_of`: the trace that it ran again.
    """

    principal: Principal | None = None
    service: str = ""
    status: str = ""
    session_id: str = ""
    since: datetime | None = None
    text: str = ""
    has_errors: bool = False
    model: str = ""
    client: str | None = None
    until: datetime | None = None
    min_duration_ms: int | None = None
    min_cost: float | None = None
    rerun_of: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """`cursor`: what the next page begins after; None at the end. `is_complete`: there are no more
    in the page because there are none, or it is full; else because so many were looked through.
    """

    traces: list[Trace]
    cursor: str | None
    is_complete: bool


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
    return _looked_at(wanted, _in_index(wanted))


def page_of(
    wanted: Wanted, *, limit: int, cursor: str | None = None, is_oldest_first: bool = False
) -> Page:
    """Up to `limit` of those that match, of traces that come after `cursor` in the order.

    What no index finds is looked for in the first `LOOKED_THROUGH` of those that one finds.
    """
    after, until = ("pk__gt", "pk__lte") if is_oldest_first else ("pk__lt", "pk__gte")
    indexed = _in_index(wanted).order_by("pk" if is_oldest_first else "-pk")
    if cursor is not None:
        indexed = indexed.filter(**{after: cursor})
    found = _looked_at(wanted, indexed)
    last = None
    if found is not indexed:
        last = indexed.values_list("pk", flat=True)[LOOKED_THROUGH - 1 : LOOKED_THROUGH].first()
        found = found if last is None else found.filter(**{until: last})
    traces = list(found[: limit + 1])
    if len(traces) > limit:
        return Page(traces[:limit], traces[limit - 1].pk, True)
    if last is None or not indexed.filter(**{after: last}).exists():
        return Page(traces, None, True)
    return Page(traces, last, False)


def _in_index(wanted: Wanted) -> QuerySet[Trace]:
    found = seen_by(wanted.principal, Trace.objects.order_by("-pk"))
    exact = {"service": wanted.service, "session_id": wanted.session_id}
    exact["rerun_of"] = wanted.rerun_of
    found = found.filter(**{name: value for name, value in exact.items() if value})
    if wanted.client is not None:
        found = found.filter(principal=wanted.client)
    if wanted.since is not None:
        found = found.filter(pk__gte=first_id(wanted.since, waited=LONGEST_WAIT))
    if wanted.until is not None:
        found = found.filter(pk__lt=first_id(wanted.until))
    return found


def _looked_at(wanted: Wanted, found: QuerySet[Trace]) -> QuerySet[Trace]:
    """Of `found` those that match; `found` itself if all do."""
    conditions = {
        "status": wanted.status or None,
        "model": wanted.model or None,
        # A run's id is as old as its message, which may have waited.
        "started_at__gte": wanted.since,
        "started_at__lt": wanted.until,
        "duration_ms__gte": wanted.min_duration_ms,
        "cost_nano__gte": None if wanted.min_cost is None else round(wanted.min_cost * NANO),
    }
    given = {name: value for name, value in conditions.items() if value is not None}
    if given:
        found = found.filter(**given)
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
