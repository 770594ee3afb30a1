"""The events dialect, version 1, as types: what clients may say, for server and clients alike.

Nothing here does I/O. `parse` turns a text frame into one of the client
events, or raises `ProtocolError` with a code of the protocol.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from myagent import exact_json

PROTOCOL_VERSION = 1

MAX_FRAME_BYTES = 512 * 1024
"""A client's frame above this many bytes of UTF-8 is refused."""

MAX_MESSAGE_BYTES = 256 * 1024
"""A message's content above this many bytes of UTF-8 is refused."""

MAX_TRACEPARENT = 512
"""Characters of a message's `traceparent`. A valid one has 55, of later versions more."""

MAX_COMMENT = 2_000
"""Characters of what somebody says about an answer; more are refused."""

MAX_CLIENT_INFO_BYTES = 16 * 1024
"""`metadata.client` of a new session above this many bytes of JSON is refused."""

ErrorCode = Literal[
    "invalid_json",
    "invalid_event",
    "unknown_event",
    "unknown_session",
    "unknown_message",
    "session_closed",
    "forbidden",
    "unauthenticated",
    "rate_limited",
    "too_large",
    "too_many_sessions",
    "busy",
    "not_waiting",
    "moved",
    "no_service",
    "service_unavailable",
    "storage_unavailable",
    "model_error",
    "tool_error",
    "agent_error",
    "internal_error",
    "slow_client",
]

TERMINAL_EVENTS = frozenset(
    {"agent.final_answer", "agent.error", "agent.interrupted", "agent.timeout"}
)
"""Every accepted message ends in exactly one of these."""


class CloseCode:
    """WebSocket close codes that a server uses."""

    NORMAL = 1000
    NOT_AUTHENTICATED = 4001
    ORIGIN_NOT_ALLOWED = 4003
    NO_SUCH_SERVICE = 4004
    SLOW_READER = 4008
    GOING_AWAY = 4012
    NO_SERVICE_AVAILABLE = 4013
    TOO_MANY = 4029
    PROTOCOL_ABUSE = 4400


class ProtocolError(Exception):
    """A frame that is not a client event.

    `code` is one of the protocol's error codes, `detail` the field or event
    name that is wrong, if one is. `is_frame_error`: the frame as such was
    unusable, which counts towards closing the socket.
    """

    def __init__(self, code: ErrorCode, detail: str = "", *, is_frame_error: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code: ErrorCode = code
        self.detail = detail
        self.is_frame_error = is_frame_error


_CERTAINLY_SHALLOW = 200
"""Brackets below which no frame can be nested too deep."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class CreateSessionMetadata(_Wire):
    """Other fields are kept: an administrator's rules may read them."""

    model_config = ConfigDict(extra="allow", strict=True)

    service: str | None = Field(default=None, max_length=100)
    tags: list[Annotated[str, Field(max_length=100)]] = Field(default_factory=list, max_length=50)
    client: dict[str, Any] = Field(default_factory=dict)
    lang: str | None = Field(default=None, max_length=35)


class CreateSession(_Wire):
    event: Literal["user.create_session"]
    metadata: CreateSessionMetadata = Field(default_factory=CreateSessionMetadata)


OnBusy = Literal["enqueue", "reject", "interrupt"]


class MessageMetadata(_Wire):
    """`traceparent`: W3C Trace Context; one that is not valid is passed over."""

    message_id: str | None = Field(default=None, min_length=1, max_length=64)
    on_busy: OnBusy = "enqueue"
    traceparent: str | None = Field(default=None, max_length=MAX_TRACEPARENT)


Saying = Annotated[str, Field(pattern=r"\S")]
"""A message: not empty and not only blanks, which models refuse or misinterpret."""


class UserMessage(_Wire):
    event: Literal["user.message"]
    session_id: str = Field(max_length=64)
    content: Saying
    metadata: MessageMetadata = Field(default_factory=MessageMetadata)


class CancelMetadata(_Wire):
    run_id: str | None = Field(default=None, max_length=64)
    message_id: str | None = Field(default=None, max_length=64)
    all: bool = False


class Cancel(_Wire):
    event: Literal["user.cancel"]
    session_id: str = Field(max_length=64)
    metadata: CancelMetadata = Field(default_factory=CancelMetadata)


class ResponseContent(_Wire):
    approved: bool
    args: dict[str, Any] | None = None
    feedback: str | None = Field(default=None, max_length=16 * 1024)


class Response(_Wire):
    event: Literal["user.response"]
    session_id: str = Field(max_length=64)
    step_id: str = Field(max_length=64)
    content: ResponseContent


class FeedbackMetadata(_Wire):
    """`message_id`: of the message that was answered. `score`: from -1, bad, to 1, good; None takes
    the feedback back.
    """

    message_id: str = Field(min_length=1, max_length=64)
    score: Annotated[float, Field(ge=-1, le=1)] | None


class Feedback(_Wire):
    """`content`: a comment."""

    event: Literal["user.feedback"]
    session_id: str = Field(max_length=64)
    content: str | None = None
    metadata: FeedbackMetadata


class ReconnectMetadata(_Wire):
    last_seq: int = Field(default=0, ge=0, le=2**53)


class Reconnect(_Wire):
    event: Literal["user.reconnect"]
    session_id: str = Field(max_length=64)
    metadata: ReconnectMetadata = Field(default_factory=ReconnectMetadata)


class Detach(_Wire):
    event: Literal["user.detach"]
    session_id: str = Field(max_length=64)


class CloseSession(_Wire):
    event: Literal["user.close_session"]
    session_id: str = Field(max_length=64)


ClientEvent = (
    CreateSession | UserMessage | Cancel | Response | Feedback | Reconnect | Detach | CloseSession
)

_client_event: TypeAdapter[ClientEvent] = TypeAdapter(
    Annotated[ClientEvent, Field(discriminator="event")]
)


def parse(text: str) -> ClientEvent:
    """The client event in a text frame. Raises `ProtocolError`."""
    data = read_object(text)
    if data.get("event") == "user.response":
        data = _exact(text)
    try:
        event = _client_event.validate_python(data)
    except ValidationError as error:
        raise _explain(error, data) from None
    _check_sizes(event)
    return event


def read_object(text: str) -> dict[str, Any]:
    """The JSON object in a text frame, of a size and depth that can be handled.

    Raises `ProtocolError`.
    """
    if len(text) * 4 > MAX_FRAME_BYTES and len(text.encode(errors="replace")) > MAX_FRAME_BYTES:
        raise ProtocolError("too_large", "frame", is_frame_error=True)
    try:
        data = orjson.loads(text)
    except ValueError as error:
        raise ProtocolError("invalid_json", is_frame_error=True) from error
    if not isinstance(data, dict):
        raise ProtocolError("invalid_event", is_frame_error=True)
    _check_depth(text, data)
    return data


def _exact(text: str) -> dict[str, Any]:
    """The object with every digit of its numbers: a tool may be run with them."""
    try:
        data: dict[str, Any] = exact_json.loads(text)
    except ValueError as error:
        raise ProtocolError("invalid_json", is_frame_error=True) from error
    return data


def _explain(error: ValidationError, data: dict[str, Any]) -> ProtocolError:
    kind = data.get("event")
    if not isinstance(kind, str):
        return ProtocolError("invalid_event", "event")
    problem = error.errors(include_url=False, include_input=False)[0]
    if problem["type"] == "union_tag_invalid":
        return ProtocolError("unknown_event", kind[:64])
    # The first element of the location is the union's tag.
    field = ".".join(str(part) for part in problem["loc"][1:])
    return ProtocolError("invalid_event", field[:64])


def _check_depth(text: str, data: dict[str, Any]) -> None:
    """Refuses what can be read but not be written again: the encoder's nesting limit is lower."""
    if text.count("[") + text.count("{") < _CERTAINLY_SHALLOW:
        return
    try:
        orjson.dumps(data)
    except TypeError as error:
        raise ProtocolError("invalid_event") from error


def _check_sizes(event: ClientEvent) -> None:
    match event:
        case UserMessage(content=content):
            is_long = len(content) * 4 > MAX_MESSAGE_BYTES
            if is_long and len(content.encode()) > MAX_MESSAGE_BYTES:
                raise ProtocolError("too_large", "content")
        case CreateSession(metadata=metadata):
            if len(orjson.dumps(metadata.client)) > MAX_CLIENT_INFO_BYTES:
                raise ProtocolError("too_large", "metadata.client")
        case Feedback(content=str(comment)):
            if len(comment) > MAX_COMMENT:
                raise ProtocolError("too_large", "content")


def timestamp(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`; of now by default."""
    moment = moment or datetime.now(UTC)
    # Each frame has one, and `strftime` takes ten times as long.
    return f"{moment.isoformat(timespec='milliseconds')[:23]}Z"


def timestamp_or_none(moment: datetime | None) -> str | None:
    """The same of a moment that may not have come yet."""
    return None if moment is None else timestamp(moment)
