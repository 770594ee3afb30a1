"""The trace dialect as types: what a client of `/ws/LABEL` may say. Nothing here does I/O."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from myagent.protocol.client_events import Saying, read_object
from myagent.protocol.terms import MAX_MESSAGE_BYTES, ProtocolError

MAX_LABEL = 191
"""Characters of the path's label."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class StartAgent(_Wire):
    action: Literal["start_agent"]
    question: Saying


class Stop(_Wire):
    action: Literal["cancel"]


ACTIONS = ("start_agent", "cancel")

_said: TypeAdapter[StartAgent | Stop] = TypeAdapter(
    Annotated[StartAgent | Stop, Field(discriminator="action")]
)


def parse(text: str) -> StartAgent | Stop:
    """What the client says in a text frame. Raises `ProtocolError`."""
    data = read_object(text)
    action = data.get("action")
    if isinstance(action, str) and action not in ACTIONS:
        raise ProtocolError("unknown_event", action[:100])
    try:
        said = _said.validate_python(data)
    except ValidationError as error:
        place = error.errors(include_url=False, include_input=False)[0]["loc"]
        raise ProtocolError("invalid_event", str(place[-1]) if place else "action") from None
    if isinstance(said, StartAgent) and len(said.question.encode()) > MAX_MESSAGE_BYTES:
        raise ProtocolError("too_large", "question")
    return said
