"""For tests of agents: a model that replies from a script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from myagent import fast_json
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Completion, ModelError, ToolSpec

__all__ = ["Request", "ScriptedModel", "Streamed", "call"]


@dataclass(frozen=True, slots=True)
class Request:
    """One question that a model was asked."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...]

    @property
    def texts(self) -> list[str]:
        return [message.content for message in self.messages]


@dataclass(frozen=True, slots=True)
class Streamed:
    """A reply in pieces; after them its tool calls, or an error in the middle of the answer."""

    pieces: tuple[str, ...]
    calls: tuple[ToolCall, ...] = ()
    error: BaseException | None = None


Reply = str | Completion | ToolCall | Sequence[ToolCall] | Streamed | BaseException
Script = Iterable[Reply] | Callable[[Request], Reply]


def call(tool: str, /, **args: Any) -> ToolCall:
    """A model's wish to call a tool."""
    return ToolCall(id="", name=tool, arguments=fast_json.dumps(args).decode())


class ScriptedModel:
    """A chat model that gives the replies of a script, one a question.

    A reply is a text, a `call` or a list of them, a `Completion`, a `Streamed`,
    or an exception to raise. Instead of a list the script may be a function of
    the `Request`. `requests` records what was asked. When the script is at its
    end, `ModelError` says so.
    """

    def __init__(self, script: Script) -> None:
        self.requests: list[Request] = []
        self._function = script if callable(script) else None
        self._replies: Iterator[Reply] = iter(() if callable(script) else tuple(script))

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[str | Completion]:
        request = Request(tuple(messages), tuple(tools))
        self.requests.append(request)
        reply = _as_streamed(self._reply(request))
        if isinstance(reply, Completion):
            if reply.text:
                yield reply.text
            yield reply
            return
        for piece in reply.pieces:
            yield piece
        if reply.error is not None:
            raise reply.error
        yield Completion("".join(reply.pieces), tool_calls=reply.calls)

    def _reply(self, request: Request) -> Reply:
        if self._function is not None:
            return self._function(request)
        try:
            return next(self._replies)
        except StopIteration:
            raise ModelError(
                "The script has no reply to question {number}.",
                is_retryable=False,
                number=len(self.requests),
            ) from None


def _as_streamed(reply: Reply) -> Streamed | Completion:
    match reply:
        case Streamed() | Completion():
            return reply
        case str():
            return Streamed((reply,) if reply else ())
        case ToolCall():
            return Streamed((), (reply,))
        case BaseException():
            return Streamed((), error=reply)
    return Streamed((), tuple(reply))
