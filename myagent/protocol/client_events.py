"""The events dialect, version 1, as types: what clients may say, for server and clients alike.

Nothing here does I/O. `parse` turns a text frame into one of the client
events, or raises `ProtocolError` with a code of the protocol.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from myagent import exact_json
from myagent.protocol.terms import (
    MAX_CLIENT_INFO_BYTES,
    MAX_COMMENT,
    MAX_FRAME_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_TRACEPARENT,
    ProtocolError,
)

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
