"""Which traces somebody asks for. Synchronous reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Exists, OuterRef, Q, QuerySet

from agents.archive.finding import seen_by
from agents.principals import Principal, may_see, may_use_service
from traces.models import NANO, Feedback, Trace
from traces.reading.feedback import SCORES, Kind, given

LOOKED_THROUGH = 10_000
"""Traces that one page looks through at most, for what no index finds."""

RATED_LOOKED_THROUGH = 2_000
"""Words of clients on answers that one page looks through at most."""

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
    feedback: Kind | None = None


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
    found = _looked_at(wanted, _in_index(wanted))
    if wanted.feedback in SCORES:
        found = found.filter(pk__in=given(wanted.feedback).values("trace_id"))
    return found


def page_of(
    wanted: Wanted, *, limit: int, cursor: str | None = None, is_oldest_first: bool = False
) -> Page:
    """Up to `limit` of those that match, of traces that come after `cursor` in the order.

    What no index finds is looked for in the first `LOOKED_THROUGH` of those that one finds.
    """
    order = OLDEST_FIRST if is_oldest_first else NEWEST_FIRST
    indexed = order.after(cursor, _in_index(wanted).order_by(f"{order.sign}pk"))
    if wanted.feedback in SCORES:
        rated = order.after(cursor, given(wanted.feedback), "trace_id")
        return _page_of_rated(wanted, indexed, rated, limit, order)
    found = _looked_at(wanted, indexed)
    last = None
    if found is not indexed:
        last = indexed.values_list("pk", flat=True)[LOOKED_THROUGH - 1 : LOOKED_THROUGH].first()
        found = order.until(last, found)
    has_more = last is not None and order.after(last, indexed).exists()
    return _page(found, limit, last if has_more else None)


Rows = TypeVar("Rows", bound=QuerySet[Any])


@dataclass(frozen=True, slots=True)
class _Order:
    """By the ids of traces. `after` and `until` leave rows as they are without an id."""

    sign: str
    later: str
    not_later: str

    def after(self, id_: str | None, rows: Rows, field: str = "pk") -> Rows:
        return rows if id_ is None else rows.filter(**{f"{field}__{self.later}": id_})

    def until(self, id_: str | None, rows: Rows, field: str = "pk") -> Rows:
        return rows if id_ is None else rows.filter(**{f"{field}__{self.not_later}": id_})


NEWEST_FIRST = _Order("-", "lt", "gte")

OLDEST_FIRST = _Order("", "gt", "lte")


def _page_of_rated(
    wanted: Wanted, indexed: QuerySet[Trace], rated: QuerySet[Feedback], limit: int, order: _Order
) -> Page:
    """The same of traces with feedback: what is looked through is the first of that."""
    ids = rated.order_by(f"{order.sign}trace_id").values_list("trace_id", flat=True)
    last = ids[RATED_LOOKED_THROUGH - 1 : RATED_LOOKED_THROUGH].first()
    has_more = last is not None and order.after(last, rated, "trace_id").exists()
    rated = order.until(last, rated, "trace_id")
    found = _looked_at(wanted, indexed).filter(pk__in=rated.values("trace_id"))
    return _page(found, limit, last if has_more else None)


def _page(found: QuerySet[Trace], limit: int, last: str | None) -> Page:
    """`last`: the last that was looked through, if there are more."""
    traces = list(found[: limit + 1].prefetch_related("feedback"))
    if len(traces) > limit:
        return Page(traces[:limit], traces[limit - 1].pk, True)
    return Page(traces, last, last is None)


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
    known = {name: value for name, value in conditions.items() if value is not None}
    if known:
        found = found.filter(**known)
    if wanted.feedback == Kind.NONE:
        found = found.filter(~Exists(given(Kind.NONE).filter(trace_id=OuterRef("pk"))))
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
