"""Chat messages: what a model reads, in the shape of the OpenAI chat API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from myagent import fast_json

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool.

    `arguments` is the JSON text as the model wrote it; it may be malformed.
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

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            data["tool_calls"] = [call.to_dict() for call in self.tool_calls]
        if self.tool_call_id is not None:
            data["tool_call_id"] = self.tool_call_id
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ChatMessage:
        return cls(
            role=data["role"],
            content=data.get("content") or "",
            tool_calls=tuple(ToolCall.from_dict(call) for call in data.get("tool_calls", ())),
            tool_call_id=data.get("tool_call_id"),
        )

    @cached_property
    def json(self) -> bytes:
        """The wire form, encoded once: a long history is joined, never encoded again."""
        return fast_json.dumps(self.to_dict())

    @cached_property
    def tokens(self) -> int:
        """An estimate: a token for four ASCII characters, one for each other character."""
        text = self.content + "".join(call.name + call.arguments for call in self.tool_calls)
        narrow = len(text) if text.isascii() else sum(1 for char in text if char < "\x80")
        return 4 + narrow // 4 + (len(text) - narrow)
