"""Lists, shows, renames and removes conversations, and begins new ones."""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from agents.archive import finding, removal
from agents.archive.describing import session_json
from agents.archive.finding import NoSession, NotTheirs, OnlyRead, Wanted
from agents.archive.naming import give_titles
from agents.calls import asking
from agents.calls.call import WaitingCall
from agents.calls.stream import Stream
from agents.log.reading import page_after
from agents.models import Session
from agents.ports import Refused
from agents.sentences import say
from agents.sockets.handshake import Scope, client_counted_as
from agents.titles import cleaned
from myagent.protocol import CreateSession
from services import access
from services.rest.conversations import documents
from services.rest.conversations.inputs import (
    LAST_EVENT_ID,
    EventsQuery,
    SessionInput,
    SessionsQuery,
    TitleInput,
    client_event,
    last_event_id,
)
from services.rest.conversations.later import (
    ConversationView,
    Later,
    Problem,
    call_of,
    own_language,
    refused,
    streaming,
    wants_stream,
)
from services.rest.conversations.rates import rates, searches
from services.rest.conversations.who import principal_of
from services.rest.inputs import PageQuery, query_of
from services.rest.lists import Page
from services.tokens.judging import JOIN_ALL, SEE_ALL

EVENTS_CHARACTERS = 1024 * 1024
"""Entries of a page together, unless the first alone is larger."""


def session_of(request: Request, id: str, *, is_to_act: bool = False) -> Session:
    """See `finding.find`. Raises `Problem`."""
    principal = principal_of(request)
    try:
        return finding.find(id, principal, is_to_act=is_to_act)
    except NoSession:
        raise Problem("unknown_session") from None
    except NotTheirs:
        if principal is not None and principal.sees_everything:
            raise Problem("forbidden", access.why_not_within(request)) from None
        raise _forbidden(request, "forbidden_session", SEE_ALL) from None
    except OnlyRead:
        raise _forbidden(request, "forbidden_to_act", JOIN_ALL) from None


def _forbidden(request: Request, sentence: str, permission: str) -> Problem:
    lacks = access.why_not(request, permission, is_for_staff=False)
    return Problem("forbidden", f"{say(own_language(), sentence)} {lacks}")


class SessionsView(ConversationView, GenericAPIView[Session]):
    queryset = Session.objects.none()
    pagination_class = Page

    @extend_schema(
        summary="List conversations",
        description="One's own; with the permission for it, or where nobody logs in, all.",
        tags=["sessions"],
        parameters=[SessionsQuery],
        responses={
            200: documents.SessionSerializer(many=True),
            **documents.errors(400, 429, *documents.READ),
        },
    )
    def get(self, request: Request) -> Response:
        query = query_of(request, SessionsQuery, beside=PageQuery().fields)
        ordering, is_own = query.pop("ordering"), query.pop("mine")
        if query.get("text", "").strip():
            count_search(request)
        found = finding.select(Wanted(principal=principal_of(request), is_own=is_own, **query))
        backwards = "-" if ordering.startswith("-") else ""
        page = self.paginate_queryset(found.order_by(ordering, f"{backwards}pk")) or ()
        give_titles(page)
        return self.get_paginated_response([session_json(each) for each in page])

    @extend_schema(
        summary="Begin a conversation",
        tags=["sessions"],
        request=SessionInput,
        responses={
            201: OpenApiResponse(documents.SessionSerializer, "It is stored."),
            **documents.errors(*documents.ASK),
        },
    )
    def post(self, request: Request) -> Response:
        body = SessionInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        title = cleaned(given.pop("title", ""))
        event = client_event(event="user.create_session", metadata=given)
        assert isinstance(event, CreateSession)
        return Later(partial(_create, request, event, title))


class SessionView(ConversationView):
    @extend_schema(
        summary="Show a conversation",
        tags=["sessions"],
        parameters=[documents.ID],
        responses={
            200: documents.SessionSerializer,
            **documents.errors(*documents.READ_ONE),
        },
    )
    def get(self, request: Request, id: str) -> Response:
        return Response(session_json(session_of(request, id)))

    @extend_schema(
        summary="Rename a conversation",
        tags=["sessions"],
        parameters=[documents.ID],
        request=TitleInput,
        responses={
            200: documents.SessionSerializer,
            **documents.errors(400, 404, 409, 413, 415, *documents.READ),
        },
    )
    def patch(self, request: Request, id: str) -> Response:
        session = session_of(request, id, is_to_act=True)
        body = TitleInput(data=request.data)
        body.is_valid(raise_exception=True)
        title = cleaned(body.validated_data["title"])
        if not title:
            sentence = gettext("A title has at least one character that is seen.")
            raise Problem("invalid", sentence, status=400)
        Session.objects.filter(pk=session.pk).update(title=title)
        session.title = title
        return Response(session_json(session))

    @extend_schema(
        summary="Remove a conversation",
        description="Its answers under way end first, as interrupted; then it is gone, with all "
        "that was said. 503 `moved` while it is kept by a server that this one can't ask.",
        tags=["sessions"],
        parameters=[documents.ID],
        request=None,
        responses={
            204: OpenApiResponse(description="It is gone."),
            **documents.errors(400, 404, 409, 413, 415, *documents.READ),
        },
    )
    def delete(self, request: Request, id: str) -> Response:
        session = session_of(request, id, is_to_act=True)
        return Later(partial(_remove, request, session.pk))


class EventsView(ConversationView):
    @extend_schema(
        summary="Read a conversation",
        description="The entries of its log after `after`, as they are on sockets. As a stream: "
        "these, and what comes, for up to half a minute; `Last-Event-ID` resumes it.",
        tags=["sessions"],
        parameters=[documents.ID, EventsQuery, LAST_EVENT_ID],
        responses={
            200: documents.EventsSerializer,
            **documents.STREAMED,
            **documents.errors(400, *documents.READ_ONE),
        },
    )
    def get(self, request: Request, id: str) -> HttpResponseBase:
        query = query_of(request, EventsQuery)
        session = session_of(request, id)
        if wants_stream(request):
            seen = last_event_id(request)
            return Later(partial(_follow, request, id, query["after"] if seen is None else seen))
        page, _ = page_after(id, query["after"], query["limit"], EVENTS_CHARACTERS)
        cursor = page[-1].seq if page else query["after"]
        # The entries are JSON already, and numbers in them may be longer than a parser keeps.
        items = ",".join(each.frame for each in page)
        end = f'],"cursor":{cursor},"last_seq":{max(cursor, session.last_seq)}}}'
        return HttpResponse(f'{{"items":[{items}{end}', content_type="application/json")


def count_search(request: Request) -> None:
    """Counts a search of texts by the client. Raises `Problem` above the rate."""
    scope: Scope = request._request.scope  # type: ignore[attr-defined]
    try:
        searches.count(client_counted_as(scope, principal_of(request)))
    except Refused as error:
        raise refused(error) from error


async def _create(request: Request, event: CreateSession, title: str, later: Later) -> None:
    call = await call_of(request, WaitingCall)
    if call.principal is not None:
        rates.count(call.principal, "")
    session_id = await asking.create(call, event)
    later.data = await sync_to_async(_begun)(session_id, title)
    later.status_code = 201
    later["Location"] = reverse("session", kwargs={"id": session_id})


def _begun(session_id: str, title: str) -> dict[str, Any]:
    if title:
        Session.objects.filter(pk=session_id).update(title=title)
    return session_json(finding.find(session_id, None))


async def _remove(request: Request, session_id: str, later: Later) -> None:
    later.status_code = 204
    if await sync_to_async(removal.remove_at_rest)(session_id):
        return
    call = await call_of(request, WaitingCall)
    await asking.end_session(call, session_id)
    await sync_to_async(removal.remove_closed)(session_id)
    call.host.port.forget(session_id)


async def _follow(request: Request, id: str, after: int, later: Later) -> HttpResponseBase:
    stream = await call_of(request, Stream)
    rates.count(stream.principal, id)
    await asking.follow(stream, id, after)
    return streaming(stream)
