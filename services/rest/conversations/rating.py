"""What clients say an answer is worth."""

from __future__ import annotations

from functools import partial
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.calls import asking
from agents.calls.call import WaitingCall
from agents.log.entry import Logged
from myagent.protocol import Feedback, timestamp
from services.rest.conversations import documents
from services.rest.conversations.inputs import FeedbackInput, client_event
from services.rest.conversations.later import ConversationView, Later, call_of
from services.rest.conversations.rates import rates
from services.rest.conversations.reading import session_of

A_THUMB = OpenApiExample(
    "A thumb down", {"score": -1, "comment": "It does rain."}, request_only=True
)


class FeedbackView(ConversationView):
    @extend_schema(
        summary="Say what an answer is worth",
        description="Replaces what the client said of it before. The answer must have ended, in "
        "any way, and the conversation must not. Everybody in the conversation sees it, and it is "
        "on the trace of the run.",
        tags=["sessions"],
        parameters=[documents.ID, documents.MESSAGE_ID],
        request=FeedbackInput,
        examples=[A_THUMB],
        responses={
            200: OpenApiResponse(documents.RatedSerializer, "It is kept."),
            **documents.errors(*documents.ASK),
        },
    )
    def put(self, request: Request, id: str, message_id: str) -> Response:
        body = FeedbackInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        event = _event(id, message_id, given["score"], given.get("comment"))
        session_of(request, id, is_to_act=True)
        return Later(partial(_rate, request, event))

    @extend_schema(
        summary="Take back what was said of an answer",
        tags=["sessions"],
        parameters=[documents.ID, documents.MESSAGE_ID],
        request=None,
        responses={
            204: OpenApiResponse(description="It does not count any more."),
            **documents.errors(*documents.ASK),
        },
    )
    def delete(self, request: Request, id: str, message_id: str) -> Response:
        event = _event(id, message_id, None, None)
        session_of(request, id, is_to_act=True)
        return Later(partial(_rate, request, event))


def _event(id: str, message_id: str, score: float | None, comment: str | None) -> Feedback:
    metadata = {"message_id": message_id, "score": score}
    event = client_event(event="user.feedback", session_id=id, content=comment, metadata=metadata)
    assert isinstance(event, Feedback)
    return event


async def _rate(request: Request, event: Feedback, later: Later) -> None:
    call = await call_of(request, WaitingCall)
    rates.count(call.principal, event.session_id)
    rated = await asking.rate(call, event)
    if event.metadata.score is None:
        later.status_code = 204
    else:
        later.data = _shown(rated)


def _shown(rated: Logged) -> dict[str, Any]:
    data = rated.data
    ids = {name: data["metadata"][name] for name in ("run_id", "message_id")}
    return {
        "session_id": rated.session_id,
        **ids,
        "score": data["metadata"]["score"],
        "comment": data["content"] or "",
        "given_at": timestamp(rated.created_at),
    }
