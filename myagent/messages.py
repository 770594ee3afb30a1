"""Chat messages: what a model reads, in the shape of the OpenAI chat API."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from myagent import exact_json, fast_json

Role = Literal["system", "user", "assistant", "tool"]

TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The names of functions that the OpenAI chat API accepts."""

NAMELESS = "unknown_tool"
"""Replaces the name of a tool if a model gave none, or no character of it is legal."""

_WIRE_ID = re.compile(r"[A-Za-z0-9]{9}")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's request to call a tool.

    `arguments` is the JSON text as the model wrote it; it may be malformed, and the name may be
    invalid.
    """

    id: str
    name: str
    arguments: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ToolCall:
        function = data["function"]
        return cls(id=data["id"], name=function["name"], arguments=function["arguments"])

    @property
    def is_legal(self) -> bool:
        """Whether servers accept it in a history: a valid name, and a JSON object as arguments."""
        return TOOL_NAME.fullmatch(self.name) is not None and self.has_object

    @property
    def has_object(self) -> bool:
        """Whether its arguments are a JSON object."""
        try:
            return isinstance(fast_json.loads(self.arguments), dict)
        except ValueError:
            return False


def wire_id(id: str) -> str:
    """The id of a call in a form that all servers accept: Mistral's has nine letters and digits."""
    if _WIRE_ID.fullmatch(id):
        return id
    digest = hashlib.sha256(id.encode("utf-8", "replace")).digest()
    return base64.b32encode(digest)[:9].decode().lower()


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The reasoning that a server sent with tool calls and expects back, in its own format.

    `origin` identifies the only server and model that get it. `fields` are those of the message,
    `calls` those of each of its calls, in order.
    """

    origin: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    calls: Sequence[Mapping[str, Any]] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"origin": self.origin, "fields": self.fields, "calls": list(self.calls)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reasoning:
        return cls(data["origin"], data["fields"], data["calls"])


@dataclass(frozen=True)
class ChatMessage:
    """One message of a model's context.

    `is_instruction` marks a message that the loop added for one model call
    (a `next_step_prompt`), as opposed to one that somebody said; it is not
    part of the wire form.
    """

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    is_instruction: bool = field(default=False, compare=False, kw_only=True)
    reasoning: Reasoning | None = field(default=None, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """The shape of the OpenAI chat API, with `server_reasoning` added."""
        data = self._shape()
        if self.reasoning is not None:
            data["server_reasoning"] = self.reasoning.to_dict()
        return data

    def wire(self) -> dict[str, Any]:
        """Only the shape of the OpenAI chat API, with ids that every server accepts.

        Blank text beside calls is left out: some servers refuse it.
        """
        data = self._shape()
        if self.tool_calls:
            data["content"] = self.content if self.content.strip() else None
            data["tool_calls"] = [
                call.to_dict() | {"id": wire_id(call.id)} for call in self.tool_calls
            ]
        if self.tool_call_id is not None:
            data["tool_call_id"] = wire_id(self.tool_call_id)
        return data

    def _shape(self) -> dict[str, Any]:
        data: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            data["content"] = self.content or None
            data["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        if self.tool_call_id is not None:
            data["tool_call_id"] = self.tool_call_id
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ChatMessage:
        reasoning = data.get("server_reasoning")
        return cls(
            role=data["role"],
            content=data.get("content") or "",
            tool_calls=tuple(ToolCall.from_dict(call) for call in data.get("tool_calls") or ()),
            tool_call_id=data.get("tool_call_id"),
            reasoning=None if reasoning is None else Reasoning.from_dict(reasoning),
        )

    @cached_property
    def json(self) -> bytes:
        """`to_dict`, encoded once: a long history is joined, never encoded again."""
        return fast_json.compact(exact_json.encode(self.to_dict()))

    @cached_property
    def wire_json(self) -> bytes:
        """`wire`, encoded once. Raises `TypeError` for text that can't be sent."""
        return fast_json.compact(fast_json.dumps(self.wire()))

    @cached_property
    def has_legal_calls(self) -> bool:
        """Whether servers accept all its calls as they are."""
        return all(call.is_legal for call in self.tool_calls)

    @property
    def reasoning_json(self) -> str:
        """The reasoning in the form in which its size is counted; '' if there is none."""
        return "" if self.reasoning is None else exact_json.dumps(self.reasoning.to_dict())

    @cached_property
    def tokens(self) -> int:
        """An estimate: a token for four ASCII characters, one for each other character."""
        text = "".join(call.name + call.arguments for call in self.tool_calls)
        text = self.content + text + self.reasoning_json
        narrow = len(text) if text.isascii() else sum(1 for char in text if char < "\x80")
        return 4 + narrow // 4 + (len(text) - narrow)
