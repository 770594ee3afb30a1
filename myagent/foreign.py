"""Agents of other frameworks, which are not run step by step: text in, text out."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property
from typing import Any, get_args

from myagent.messages import ChatMessage
from myagent.models.base import Usage
from myagent.runnable import NOTHING_DONE, AgentError, NoAnswerError
from myagent.sentence import Sentence
from myagent.steps import Answer, Confirm, Resume, Step, StepStarted, TextDelta
from myagent.tool.base_tool import ToolResult
from myagent.tool.containment import contained, in_thread, read
from myagent.tool.failures import EscapedError, described
from myagent.tool.iterating import text_of_parts
from myagent.tool.text import clean, text_of

NO_VALUE = Sentence(
    "The agent returned nothing: its arun(), or its function, must return the answer."
)

STEP_TYPES = get_args(Step)
TEXT_KEYS = ("content", "text", "delta")
BESIDE_TEXT = frozenset(
    {*TEXT_KEYS, "role", "refusal", "tool_calls", "function_call", "finish_reason", "index"}
)
"""Keys of a streamed piece besides text; a last piece may have only these."""


class ForeignAgent:
    """Adapts an object with `astream(text)` or `arun(text)`, or an async function of a text.

    `astream` is preferred. It yields texts, dicts with a text under `content`,
    `text` or `delta`, or steps of ours; so may an iterator that `arun` returns. A plain `arun`
    runs in a thread. What has a parameter `history` gets the earlier messages, as dicts. An agent
    without a name has the `default_name`, else that of its function or class.
    """

    is_continuable = False

    def __init__(self, agent: Any, *, default_name: str | None = None) -> None:
        if not is_foreign_agent(agent):
            raise TypeError(f"{agent!r} is not an agent: it has neither arun() nor astream()")
        self.agent = agent
        self.name = _name_of(agent, default_name)
        self.is_idempotent = bool(getattr(agent, "idempotent", False))
        steps = getattr(agent, "max_steps", None)
        self.max_steps: int | None = steps if isinstance(steps, int) else None

    @cached_property
    def _takes_history(self) -> bool:
        return "history" in inspect.signature(_verb_of(self.agent)).parameters

    async def run(
        self,
        history: Sequence[ChatMessage],
        *,
        confirm: Confirm,
        resume: Resume = NOTHING_DONE,
    ) -> AsyncGenerator[Step, None]:
        """Answers the last user message, as step 1.

        `confirm` and `resume` are of no use here. Raises `AgentError`, and
        what the agent raises. Cancelling is safe.
        """
        yield StepStarted(1)
        told: list[str] = []
        question = _question(history, with_history=self._takes_history)
        async with aclosing(_guarded(_pieces(self.agent, question))) as pieces:
            async for piece in pieces:
                if _is_nothing(piece):
                    continue
                step = piece if isinstance(piece, STEP_TYPES) else TextDelta(1, _text(piece))
                yield step
                if isinstance(step, Answer):
                    return
                if isinstance(step, StepStarted):
                    told.clear()
                if isinstance(step, TextDelta):
                    told.append(step.text)
        yield Answer("".join(told), steps=1, usage=Usage())


def is_foreign_agent(agent: Any) -> bool:
    """Whether `ForeignAgent` can adapt this."""
    if isinstance(agent, type):
        return False
    if inspect.isasyncgenfunction(agent) or inspect.iscoroutinefunction(agent):
        return True
    return any(callable(getattr(agent, verb, None)) for verb in ("astream", "arun"))


def _name_of(agent: Any, default: str | None) -> str:
    for name in (getattr(agent, "name", None), default, getattr(agent, "__name__", None)):
        if isinstance(name, str) and name:
            return name
    return type(agent).__name__


async def _pieces(
    agent: Any, question: tuple[tuple[str], dict[str, Any]]
) -> AsyncGenerator[Any, None]:
    """The agent's output; a complete text is a single piece."""
    verb = _verb_of(agent)
    args, options = question
    if not _is_stream(agent, verb):
        value = await contained(_called(verb, args, options))
        if not isinstance(value, AsyncIterator | Iterator):
            yield _whole(value)
            return
        stream = value if isinstance(value, AsyncIterator) else _one_by_one(value)
    else:
        given = verb(*args, **options)
        stream = await given if inspect.isawaitable(given) else given
    if not isinstance(stream, AsyncIterator):
        raise AgentError("The agent's astream() must be an async generator.")
    try:
        async for piece in stream:
            yield piece
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def _one_by_one(iterator: Iterator[Any]) -> AsyncGenerator[Any, None]:
    """The items, each waited for in a thread."""
    end = object()
    while (item := await in_thread(next, iterator, end)) is not end:
        yield item


def _verb_of(agent: Any) -> Callable[..., Any]:
    for name in ("astream", "arun"):
        verb = getattr(agent, name, None)
        if callable(verb):
            return verb  # type: ignore[no-any-return]
    return agent  # type: ignore[no-any-return]


def _is_stream(agent: Any, verb: Callable[..., Any]) -> bool:
    return inspect.isasyncgenfunction(verb) or callable(getattr(agent, "astream", None))


def _question(
    history: Sequence[ChatMessage], *, with_history: bool
) -> tuple[tuple[str], dict[str, Any]]:
    # From the end: a long conversation must not make its next turn cost more.
    places = range(len(history) - 1, -1, -1)
    place = next((index for index in places if _is_question(history[index])), None)
    text = history[place].content if place is not None else ""
    if not with_history:
        return (text,), {}
    said = [message for message in history[: place or 0] if not message.is_instruction]
    return (text,), {"history": [message.wire() for message in said]}


def _is_question(message: ChatMessage) -> bool:
    return message.role == "user" and not message.is_instruction


async def _called(verb: Callable[..., Any], args: tuple[str], options: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(verb):
        value = await verb(*args, **options)
    else:
        value = await in_thread(verb, *args, **options)
        value = await value if inspect.isawaitable(value) else value
    return value if isinstance(value, AsyncIterator | Iterator) else await read(value)


def _whole(value: Any) -> str:
    """Raises `AgentError` for None: an empty answer would look like a valid one."""
    if value is None:
        raise NoAnswerError(NO_VALUE)
    if isinstance(value, ToolResult):
        return text_of_parts(value)
    return text_of(value)


def _text(piece: Any) -> str:
    if isinstance(piece, str):
        return clean(piece)
    if isinstance(piece, Mapping):
        for key in TEXT_KEYS:
            if isinstance(piece.get(key), str):
                return clean(piece[key])
    raise AgentError(
        f"The agent yielded {_kind(piece)}; it may yield text, "
        "or a dict with the text under 'content'."
    )


def _is_nothing(piece: Any) -> bool:
    """Whether the piece has no text, like the first and last pieces of a model's stream."""
    if not isinstance(piece, Mapping):
        return piece is None
    if any(piece.get(key) is not None for key in TEXT_KEYS):
        return False
    return piece.keys() <= BESIDE_TEXT or "role" in piece or "content" in piece


def _kind(piece: Any) -> str:
    kind = type(piece).__name__
    return f"a {kind} without a text" if isinstance(piece, Mapping) else f"an object of type {kind}"


async def _guarded(pieces: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """The pieces; turns exceptions that would end the program or cancel the task into errors."""
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                yield piece
        except (SystemExit, KeyboardInterrupt, EscapedError) as error:
            raise AgentError(f"The agent tried to exit ({described(error)}).") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise AgentError("The agent cancelled itself.") from error
