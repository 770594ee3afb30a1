"""A log entry, before and after it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import orjson

from agents.log.fold import Fact
from myagent import exact_json, fast_json, protocol
from myagent.messages import ChatMessage


@dataclass(frozen=True)
class Entry:
    """An entry on its way into the log. `message` is what it adds to the model's context.

    `aside` goes to recorders, and not into the log. `is_afterwards`: it is about a run that has
    ended, and adds nothing to it.
    """

    event: str
    content: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    step_id: str = ""
    message: ChatMessage | None = None
    run_id: str | None = None
    aside: Mapping[str, Any] = field(default_factory=dict)
    is_afterwards: bool = False

    @cached_property
    def payload(self) -> bytes:
        whole = {"content": self.content, "metadata": self.metadata}
        return fast_json.compact(exact_json.encode(whole))

    def fact(self, at: datetime) -> Fact:
        return Fact(self.event, self.step_id, at, self.content, self.metadata, self.message)

    @property
    def size(self) -> int:
        """Bytes that the database has to take."""
        return len(self.payload) + (0 if self.message is None else len(self.message.json))

    @property
    def message_json(self) -> str | None:
        return None if self.message is None else self.message.json.decode()


@dataclass(frozen=True)
class Logged:
    """An entry in the log; its wire form is made once, for all sockets."""

    session_id: str
    seq: int
    event: str
    step_id: str
    created_at: datetime
    payload: bytes

    @cached_property
    def frame(self) -> str:
        return self._render(f'"seq":{self.seq},"event_id":"{self.session_id}:{self.seq}",')

    def as_duplicate(self) -> str:
        """The echo for a message that was sent again: without `seq`, naming the original's."""
        data = exact_json.loads(self._render(""))
        data["metadata"] |= {"duplicate": True, "original_seq": self.seq}
        return exact_json.dumps(data)

    def _render(self, position: str) -> str:
        step = f'"step_id":{orjson.dumps(self.step_id).decode()},' if self.step_id else ""
        return (
            f'{{"event":"{self.event}","session_id":"{self.session_id}",{position}{step}'
            f'"timestamp":"{protocol.timestamp(self.created_at)}",{self.payload[1:].decode()}'
        )

    @property
    def data(self) -> dict[str, Any]:
        """`content` and `metadata`, parsed."""
        parsed: dict[str, Any] = orjson.loads(self.payload)
        return parsed


@dataclass(frozen=True, slots=True)
class RunRef:
    """Which run a terminal event ends. `traceparent`: as its client gave it; may be ''."""

    run_id: str
    message_id: str
    traceparent: str = ""

    @property
    def metadata(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "message_id": self.message_id}
