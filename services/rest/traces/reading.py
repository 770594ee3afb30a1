"""Lists and shows traces, the steps of each, and what steps took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from myagent import exact_json
from services.rest.conversations.later import ConversationView, Problem
from services.rest.conversations.reading import count_search
from services.rest.conversations.who import principal_of
from services.rest.inputs import query_of
from services.rest.traces import documents
from services.rest.traces.inputs import OLDEST, SpansQuery, StatsQuery, TracesQuery
from traces.models import Trace
from traces.reading import finding, stats
from traces.reading.describing import Json, spans_json, spans_of, trace_json
from traces.reading.feedback import Kind
from traces.reading.finding import NoTrace, NotTheirs, Wanted

SPANS_CHARACTERS = 1024 * 1024
"""Spans of a page together, unless the first alone is larger."""


class TracesView(ConversationView):
    @extend_schema(
        operation_id="traces_list",
        summary="List traces",
        description="The newest first, unless `order` says otherwise: one's own; with the "
        "permission to see everybody's conversations, or where nobody logs in, all. What begins "
        "meanwhile moves no page. With other filters than `service`, `session_id`, `principal`, "
        "`rerun_of` and `feedback`, a page looks through 10,000 traces at most: if `complete` is "
        "false, go on with `cursor`, even after an empty page.",
        tags=["traces"],
        parameters=[TracesQuery],
        responses={200: documents.TRACES, **documents.errors(400, 429, *documents.READ)},
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, TracesQuery)
        limit, cursor = query.pop("limit"), query.pop("cursor", None)
        is_oldest_first = query.pop("order") == OLDEST
        names = {"errors": "has_errors", "principal": "client"}
        given = {names.get(name, name): value for name, value in query.items()}
        if given.get("text", "").strip():
            count_search(request)
        if "feedback" in given:
            given["feedback"] = Kind(given["feedback"])
        wanted = Wanted(principal=principal_of(request), **given)
        page = finding.page_of(wanted, limit=limit, cursor=cursor, is_oldest_first=is_oldest_first)
        items = [trace_json(each) for each in page.traces]
        return Response({"items": items, "cursor": page.cursor, "complete": page.is_complete})


class TraceView(ConversationView):
    @extend_schema(
        summary="Show a trace",
        tags=["traces"],
        parameters=[documents.ID],
        responses={200: documents.TRACE, **documents.errors(*documents.READ_ONE)},
    )
    def get(self, request: Request, id: str) -> Response:
        return Response(trace_json(trace_of(request, id)))


class SpansView(ConversationView):
    @extend_schema(
        summary="Show the steps of a run",
        description="Attempt by attempt, step by step, with what went in and out as far as it may "
        "be seen. A page ends before its limit where the steps are large.",
        tags=["traces"],
        parameters=[documents.ID, SpansQuery],
        responses={200: documents.SPANS, **documents.errors(400, *documents.READ_ONE)},
    )
    def get(self, request: Request, id: str) -> Response:
        query = query_of(request, SpansQuery)
        trace = trace_of(request, id)
        first: int = query["cursor"]
        spans = list(spans_of(trace)[first : first + query["limit"]])
        items = _bounded(spans_json(trace, spans))
        total, end = trace.spans.count(), first + len(items)
        following = end if end < total else None
        return Response({"items": items, "total": total, "cursor": following})


class StatsView(ConversationView):
    @extend_schema(
        summary="Show what operations took",
        description="How often replies of models and tools ran, how long they took and what they "
        "used, together and by the hour; of more than two days, by the day (UTC). Percentiles are "
        "true to 5 %. For who may see everybody's conversations.",
        tags=["traces"],
        parameters=[StatsQuery],
        responses={200: documents.STATS, **documents.errors(400, *documents.READ)},
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, StatsQuery)
        by = stats.By(query.pop("by"))
        try:
            wanted = stats.Wanted(by=by, principal=principal_of(request), **query)
            return Response(stats.stats_json(wanted))
        except NotTheirs:
            sentence = gettext("Only who may see all conversations sees statistics on them.")
            raise Problem("forbidden", sentence) from None


def trace_of(request: Request, id: str) -> Trace:
    """See `finding.find`. Raises `Problem`."""
    try:
        return finding.find(id, principal_of(request))
    except NoTrace:
        sentence = gettext("There is no trace '{id}'.").format(id=id)
        raise Problem("unknown_trace", sentence, status=404) from None
    except NotTheirs:
        sentence = gettext("This trace belongs to somebody else.")
        raise Problem("forbidden", sentence) from None


def _bounded(spans: Iterable[Json]) -> list[Json]:
    found: list[Any] = []
    characters = 0
    for span in spans:
        characters += len(exact_json.dumps(span))
        if found and characters > SPANS_CHARACTERS:
            break
        found.append(span)
    return found
