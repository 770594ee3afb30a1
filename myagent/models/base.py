"""What the loop needs of a model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from myagent.messages import ChatMessage, Reasoning, ToolCall

OFFLINE = "offline-demo"
"""The name by which an agent's model is recognised as the demo model, `myagent.models.offline`."""

Cut = Literal["", "length", "content_filter"]
"""What cut a reply off: the token limit or the provider's filter; '' if nothing did."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a model call took, as the provider counted them.

    `cached_tokens` are the part of the prompt that came from the provider's cache;
    `reasoning_tokens` the part of the completion that was reasoning. 0: none, or not told.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )

    def to_dict(self) -> dict[str, int]:
        """The sums; the parts of them only where above 0."""
        counts = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }
        if self.cached_tokens:
            counts["cached_tokens"] = self.cached_tokens
        if self.reasoning_tokens:
            counts["reasoning_tokens"] = self.reasoning_tokens
        return counts


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


class NoMoreTools(tuple[ToolSpec, ...]):
    """No tools: an empty sequence that knows which tools were offered before.

    The history contains calls of those, and some servers require them to be declared.
    """

    offered: Sequence[ToolSpec]

    @classmethod
    def of(cls, offered: Sequence[ToolSpec]) -> NoMoreTools:
        none = cls()
        none.offered = offered
        return none


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's whole reply; the last item that `ChatModel.stream` yields.

    `text` is all text pieces joined. `reasoning` is the part that people are shown; `kept` is what
    is sent back to the server with the tool calls.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    cut: Cut = ""
    kept: Reasoning | None = None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The text yielded so far does not belong to the answer: the answer starts again."""


class ModelError(Exception):
    """The model could not be asked, or gave no usable reply.

    The message is a plain sentence for the person who talks to the agent: without keys or
    tracebacks, and with no more of an address than its host. With `values` the sentence is a
    template, as in `ModelError("Status {status}.", is_retryable=True, status=500)`, which can be
    translated. `is_retryable`: the same question may succeed later; `may_ask_again`: the request
    has not been repeated yet, and may be repeated at once. `cause` is for the operator: the
    provider's own words and their source. `secrets`: what must be removed from the text of this
    error's cause and of the errors chained to it before it is logged.
    """

    secrets: frozenset[str] = frozenset()

    def __init__(
        self,
        sentence: str,
        *,
        is_retryable: bool,
        may_ask_again: bool = False,
        cause: str = "",
        **values: object,
    ) -> None:
        super().__init__(sentence.format(**values) if values else sentence)
        self.template = sentence
        self.values = values
        self.is_retryable = is_retryable
        self.may_ask_again = may_ask_again
        self.cause = cause


@runtime_checkable
class ChatModel(Protocol):
    """Anything that can continue a conversation.

    `stream` yields the reply's text piece by piece as `str`, then exactly one `Completion`. A
    `TakenBack` among the pieces cancels those before it. With no `tools` the reply has no tool
    calls. Raises `ModelError`. Cancelling is safe.
    """

    def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[str | TakenBack | Completion]: ...
