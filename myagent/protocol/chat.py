"""The chat dialect as types: a query in, a typewriter stream out. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from myagent.protocol.client_events import Saying, read_object
from myagent.protocol.terms import MAX_MESSAGE_BYTES, ProtocolError

MAX_USER_ID = 191
"""Characters of the path's user id."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class Query(_Wire):
    query: Saying
    token: str | None = Field(default=None, max_length=4096)


class Stop(_Wire):
    action: Literal["cancel"]


def parse(text: str) -> Query | Stop:
    """What the client says in a text frame. Raises `ProtocolError`."""
    data = read_object(text)
    if "action" in data and "query" in data:
        # Neither may be dropped in silence.
        raise ProtocolError("invalid_event", "action")
    kind = Stop if "action" in data else Query
    try:
        said = kind.model_validate(data)
    except ValidationError as error:
        field = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        raise ProtocolError("invalid_event", field) from None
    if isinstance(said, Query) and len(said.query.encode()) > MAX_MESSAGE_BYTES:
        raise ProtocolError("too_large", "query")
    return said


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next piece of text."""

    content: str
    is_final: bool = False

    @property
    def frame(self) -> str:
        return _frame(type="chunk", content=self.content, is_final=self.is_final)


StatusName = Literal["thinking", "tool_calling", "tool_completed", "completed"]


@dataclass(frozen=True, slots=True)
class Status:
    """How far a turn has come."""

    status: StatusName
    data: Mapping[str, Any]

    @property
    def frame(self) -> str:
        return _frame(type="status", status=self.status, data=self.data)


@dataclass(frozen=True, slots=True)
class Failure:
    """A plain sentence about what went wrong."""

    content: str

    @property
    def frame(self) -> str:
        return _frame(type="error", content=self.content)


ServerFrame = Chunk | Status | Failure


def _frame(**fields: Any) -> str:
    return orjson.dumps(fields).decode()
