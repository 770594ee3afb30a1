"""What the loop needs of a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from myagent.messages import ChatMessage, ToolCall


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a model call took, as the provider counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    def to_dict(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it; `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        }


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's whole reply; the last thing that `ChatModel.stream` yields.

    `text` is all the text pieces joined.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()


class ModelError(Exception):
    """The model could not be asked, or gave no usable reply.

    The message is a plain sentence for the person who talks to the agent: no
    address, key or traceback. With `values` the sentence is a template, as in
    `ModelError("Status {status}.", is_retryable=True, status=500)`; whoever
    speaks another language than English translates that. `is_retryable` says
    whether the same question may succeed later.
    """

    def __init__(self, sentence: str, *, is_retryable: bool, **values: object) -> None:
        super().__init__(sentence.format(**values) if values else sentence)
        self.template = sentence
        self.values = values
        self.is_retryable = is_retryable


@runtime_checkable
class ChatModel(Protocol):
    """Anything that can continue a conversation.

    `stream` yields the reply's text piece by piece as `str`, then exactly one
    `Completion`. With no `tools` the reply has no tool calls. Raises
    `ModelError`. Cancelling is safe.
    """

    def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[str | Completion]: ...
