"""The schemas of responses on conversations, for the documentation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from agents.archive.status import Status
from agents.models import Session
from services.rest.answers import Error, Responses, refusal_of, refusals
from services.rest.documents import Answer

STATUSES = [(each.value, each.value) for each in Status]

MESSAGE_ID = OpenApiParameter(
    "message_id",
    {"type": "string", "minLength": 1, "maxLength": 64},
    OpenApiParameter.PATH,
    description="Of the message that was answered.",
)

ID = OpenApiParameter(
    "id",
    {"type": "string", "minLength": 1, "maxLength": 64},
    OpenApiParameter.PATH,
    description="The session_id.",
)


class SessionSerializer(Answer):
    session_id = serializers.CharField()
    title = serializers.CharField(help_text="The first words of its first message, or a new name.")
    service = serializers.CharField()
    status = serializers.ChoiceField(STATUSES)
    lang = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    client = serializers.DictField(help_text="What its creator stored with it.")
    principal = serializers.CharField(help_text="Its creator; empty where nobody has to log in.")
    last_seq = serializers.IntegerField(help_text="The end of its log.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    close_reason = serializers.ChoiceField([*Session.CloseReason.values, ""])


class EventSerializer(Answer):
    event = serializers.CharField(help_text="Its kind, as in the events protocol.")
    session_id = serializers.CharField()
    seq = serializers.IntegerField()
    event_id = serializers.CharField()
    step_id = serializers.CharField(required=False)
    timestamp = serializers.DateTimeField()
    content = serializers.JSONField(allow_null=True)
    metadata = serializers.DictField()


class EventsSerializer(Answer):
    items = EventSerializer(many=True)
    cursor = serializers.IntegerField(help_text="What the next request gives as `after`.")
    last_seq = serializers.IntegerField(help_text="The log's end: at this cursor, all was read.")


class GoingOnSerializer(Answer):
    session_id = serializers.CharField()
    run_id = serializers.CharField()
    message_id = serializers.CharField()
    events = serializers.CharField(help_text="Where the answer will be.")


class RatedSerializer(Answer):
    session_id = serializers.CharField()
    run_id = serializers.CharField()
    message_id = serializers.CharField()
    score = serializers.FloatField()
    comment = serializers.CharField(allow_blank=True)
    given_at = serializers.DateTimeField()


class CancelledSerializer(Answer):
    session_id = serializers.CharField()
    events = serializers.CharField(help_text="Where the ends of the answers are.")


STREAM = OpenApiResponse(
    OpenApiTypes.STR,
    "With `Accept: text/event-stream`: events whose `data` is as on sockets. Those of the log have "
    "their `seq` as `id`; pieces of the answer have none.",
)
STREAMED: dict[Any, Any] = {(200, "text/event-stream"): STREAM}

ERRORS: dict[int, Error] = {
    400: ("The request is not valid.", "invalid_event", "The event is not valid: check 'content'."),
    403: (
        "It is somebody else's, or the page that asks is another site's.",
        "forbidden",
        "This conversation belongs to somebody else.",
    ),
    404: (
        "There is no such conversation, or service.",
        "unknown_session",
        "There is no such conversation here.",
    ),
    409: (
        "Not in the state that things are in.",
        "session_closed",
        "This conversation has ended. Start a new one.",
    ),
    413: ("The message, or the body, is too large.", "too_large", "The content is too large."),
    429: (
        "More requests than are allowed.",
        "rate_limited",
        "Too many messages. Wait a moment, then send it again.",
    ),
    503: (
        "The service, this server or the database takes nothing just now.",
        "service_unavailable",
        "The service takes no new work just now. Try again soon.",
    ),
}

READ = (401, 403, 503)
READ_ONE = (*READ, 404)
ASK = (400, 401, 403, 404, 409, 413, 415, 429, 503)


def errors(*statuses: int) -> Responses:
    """What conversations add to the errors of all views."""
    own = {status: refusal_of(status, *ERRORS[status]) for status in statuses if status in ERRORS}
    return refusals(*(status for status in statuses if status not in ERRORS)) | own
