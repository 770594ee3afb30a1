"""Messages to conversations, and their answers; cancelling."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.calls import asking
from agents.calls.call import NothingRuns, WaitingCall
from agents.calls.stream import Stream
from agents.log.entry import Logged
from agents.runtime.ids import new_id
from agents.sentences import say
from myagent.protocol import Cancel, UserMessage
from myagent.protocol.terms import MAX_TRACEPARENT
from services.rest.conversations import documents
from services.rest.conversations.inputs import (
    LAST_EVENT_ID,
    TRACEPARENT,
    AnswerQuery,
    CancelInput,
    MessageInput,
    client_event,
    last_event_id,
)
from services.rest.conversations.later import (
    ConversationView,
    Later,
    Problem,
    call_of,
    own_language,
    streaming,
    wants_stream,
)
from services.rest.conversations.rates import rates
from services.rest.conversations.reading import session_of
from services.rest.inputs import query_of

A_MESSAGE = OpenApiExample(
    "A message", {"content": "Is it raining in Paris?", "message_id": "m-1"}, request_only=True
)


class MessagesView(ConversationView):
    @extend_schema(
        summary="Say something, and get the answer",
        description="Waits for the end of the answer, which is the response: `agent.final_answer`, "
        "or `agent.error`, `agent.interrupted`, `agent.timeout`. The answer goes on if the client "
        "leaves. As a stream: the conversation from the message to the end of its answer; the same "
        "request with its `message_id` and `Last-Event-ID` resumes it.",
        tags=["sessions"],
        parameters=[documents.ID, AnswerQuery, LAST_EVENT_ID, TRACEPARENT],
        request=MessageInput,
        examples=[A_MESSAGE],
        responses={
            200: OpenApiResponse(documents.EventSerializer, "The end of the answer."),
            **documents.STREAMED,
            202: OpenApiResponse(documents.GoingOnSerializer, "The answer is still on its way."),
            **documents.errors(*documents.ASK),
        },
    )
    def post(self, request: Request, id: str) -> Response:
        wait_s = query_of(request, AnswerQuery)["wait"]
        body = MessageInput(data=request.data)
        body.is_valid(raise_exception=True)
        metadata = dict(body.validated_data)
        # One that is not valid has to be passed over, so its length is not refused either.
        traceparent = request.headers.get("traceparent", "")[:MAX_TRACEPARENT]
        event = client_event(
            event="user.message",
            session_id=id,
            content=metadata.pop("content"),
            metadata={"message_id": new_id(), "traceparent": traceparent} | metadata,
        )
        assert isinstance(event, UserMessage)
        session_of(request, id, is_to_act=True)
        if wants_stream(request):
            return Later(partial(_stream, request, event, last_event_id(request)))
        return Later(partial(_ask, request, event, wait_s))


class CancelView(ConversationView):
    @extend_schema(
        summary="Stop an answer",
        description="The current one, or the one that is named; others stay in the queue, unless "
        "`all`. It ends within five seconds, as `agent.interrupted`.",
        tags=["sessions"],
        parameters=[documents.ID],
        request=CancelInput,
        responses={
            202: OpenApiResponse(documents.CancelledSerializer, "It is being stopped."),
            **documents.errors(*documents.ASK),
        },
    )
    def post(self, request: Request, id: str) -> Response:
        body = CancelInput(data=request.data)
        body.is_valid(raise_exception=True)
        event = client_event(event="user.cancel", session_id=id, metadata=dict(body.validated_data))
        assert isinstance(event, Cancel)
        session_of(request, id, is_to_act=True)
        return Later(partial(_cancel, request, event))


async def _ask(
    request: Request, event: UserMessage, wait_s: int, later: Later
) -> HttpResponseBase | None:
    call = await call_of(request, WaitingCall)
    rates.count(call.principal, event.session_id)
    accepted = await asking.ask(call, event, wait_s)
    if accepted.end is not None:
        # As on sockets, with every digit of its numbers.
        headers = {"Cache-Control": "no-store"}
        frame = accepted.end.frame
        return HttpResponse(frame, content_type="application/json", headers=headers)
    _accept(later, accepted.echo, run_id=True)
    return None


async def _stream(
    request: Request, event: UserMessage, after: int | None, later: Later
) -> HttpResponseBase:
    stream = await call_of(request, Stream, is_last=asking.ends(event))
    rates.count(stream.principal, event.session_id)
    await asking.ask_streaming(stream, event, after)
    return streaming(stream)


async def _cancel(request: Request, event: Cancel, later: Later) -> None:
    call = await call_of(request, WaitingCall)
    rates.count(call.principal, event.session_id)
    try:
        cancelled = await asking.cancel(call, event)
    except NothingRuns as error:
        sentence = say(own_language(), "not_running")
        raise Problem("not_running", sentence, status=409) from error
    _accept(later, cancelled, run_id=False)


def _accept(later: Later, logged: Logged, *, run_id: bool) -> None:
    """202, with where the rest will be; `run_id`: and what is on its way."""
    place = reverse("session-events", kwargs={"id": logged.session_id})
    where = f"{place}?after={logged.seq}"
    ids: dict[str, Any] = logged.data["metadata"] if run_id else {}
    named = {name: ids[name] for name in ("run_id", "message_id") if name in ids}
    later.data = {"session_id": logged.session_id} | named | {"events": where}
    later.status_code = 202
    later["Location"] = where
