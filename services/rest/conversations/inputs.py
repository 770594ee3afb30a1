"""The schemas of requests on conversations. What is said is checked as that of sockets is."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from agents.archive.finding import ORDERS
from agents.archive.status import OPEN
from agents.sentences import say
from agents.titles import MAX_TITLE
from myagent import exact_json, protocol
from myagent.protocol import MAX_COMMENT, ClientEvent, ProtocolError
from services.rest.conversations.documents import STATUSES
from services.rest.conversations.later import Problem, own_language
from services.rest.fields import Number, Strict, Text, WholeParameter, YesNo
from services.rest.inputs import MAX_LIMIT

MAX_SEQ = 2**53
MAX_WAIT_S = 600
MAX_ID = 64

LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    {"type": "integer", "minimum": 0, "maximum": MAX_SEQ},
    OpenApiParameter.HEADER,
    description="Of a stream: the id of the newest event that the client has.",
)

TRACEPARENT = OpenApiParameter(
    "traceparent",
    str,
    OpenApiParameter.HEADER,
    description="W3C Trace Context: the client's span under which the run belongs. One that is not "
    "valid is passed over.",
)

CLIENT_SCHEMA = {
    "type": "object",
    "additionalProperties": True,
    "description": "Anything, up to 16 KiB; stored with the conversation.",
}


@extend_schema_field(CLIENT_SCHEMA)
class Anything(serializers.DictField):
    pass


class SessionInput(Strict):
    service = Text(
        max_length=100, required=False,
        help_text="The service's name; left out: as the rules of routing say.",
    )  # fmt: skip
    title = Text(
        max_length=MAX_TITLE, required=False,
        help_text="Left out: the first words of the first message.",
    )  # fmt: skip
    tags = serializers.ListField(child=Text(max_length=100), max_length=50, required=False)
    client = Anything(required=False)
    lang = Text(
        max_length=35, required=False,
        help_text="Its language, such as `zh-CN`; left out: that of `Accept-Language`.",
    )  # fmt: skip


class TitleInput(Strict):
    title = Text(max_length=MAX_TITLE)


class MessageInput(Strict):
    content = Text(help_text="The message, up to 256 KiB.")
    message_id = Text(
        max_length=MAX_ID, required=False,
        help_text="The client's own id: sent again with it, a message runs once, and its end is "
        "the answer again.",
    )  # fmt: skip
    on_busy = serializers.ChoiceField(
        ["enqueue", "reject", "interrupt"],
        required=False,
        help_text="While another message is being answered: wait for it, or 409, or stop it.",
    )


class CancelInput(Strict):
    run_id = Text(max_length=MAX_ID, required=False)
    message_id = Text(max_length=MAX_ID, required=False)
    all = YesNo(required=False, help_text="The messages that wait for their turn as well.")


class FeedbackInput(Strict):
    score = Number(
        min_value=-1, max_value=1, help_text="From -1, bad, to 1, good. Thumbs are -1 and 1."
    )
    comment = Text(
        max_length=MAX_COMMENT, required=False, allow_blank=True, help_text="Why, in own words."
    )


class SessionsQuery(serializers.Serializer[Any]):
    service = serializers.CharField(max_length=100, required=False, help_text="A service's name.")
    status = serializers.ChoiceField(
        [*STATUSES, (OPEN, OPEN)],
        required=False,
        help_text="What it is doing; `open`: anything, but it has not been closed.",
    )
    mine = serializers.BooleanField(
        default=False, help_text="Only those that the client began itself, even if it may see more."
    )
    since = serializers.DateTimeField(
        required=False, help_text="Something happened in it then or later."
    )
    text = serializers.CharField(
        max_length=1000, required=False, allow_blank=True,
        help_text="In its title, or in what was said lately in one of the newest 1,000.",
    )  # fmt: skip
    ordering = serializers.ChoiceField(
        [*ORDERS, *(f"-{name}" for name in ORDERS)], default="-updated_at",
        help_text="With a dash before it: backwards.",
    )  # fmt: skip


class EventsQuery(serializers.Serializer[Any]):
    after = WholeParameter(
        min_value=0, max_value=MAX_SEQ, default=0, help_text="The `cursor` of the page before."
    )
    limit = WholeParameter(
        min_value=1, max_value=MAX_LIMIT, default=100, help_text="Entries at most."
    )


class AnswerQuery(serializers.Serializer[Any]):
    wait = WholeParameter(
        min_value=0, max_value=MAX_WAIT_S, default=60,
        help_text="Seconds to wait for the answer; then 202, and it goes on.",
    )  # fmt: skip


def client_event(**frame: Any) -> ClientEvent:
    """The event that a socket would send. Raises `Problem`."""
    try:
        return protocol.parse(exact_json.dumps(frame))
    except ProtocolError as error:
        field = error.detail.removeprefix("metadata.")
        raise Problem(error.code, say(own_language(), error.code, detail=field)) from error


def last_event_id(request: Request) -> int | None:
    """The header by which a reader resumes. Raises `Problem`."""
    given = request.headers.get("Last-Event-ID")
    if not given:
        return None
    if not re.fullmatch(r"[0-9]{1,16}", given) or int(given) > MAX_SEQ:
        raise Problem("invalid", gettext("Last-Event-ID must be the id of an event."), status=400)
    return int(given)
