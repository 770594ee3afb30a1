"""One request to a model, repeated if the answer breaks off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from myagent.messages import ChatMessage
from myagent.models.base import ChatModel, Completion, ModelError, TakenBack, ToolSpec, Usage
from myagent.steps import StepStarted, TextDelta
from myagent.tool.text import clean

RETRY_DELAYS_S = (0.5, 2.0)
"""Seconds to wait before each repetition after an answer broke off; then the error is raised."""

logger = logging.getLogger(__name__)

Piece = StepStarted | TextDelta | Completion


async def ask(
    model: ChatModel, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], step: int
) -> AsyncGenerator[Piece, None]:
    """Yields `StepStarted` for each attempt, text as it comes, then the `Completion`.

    Text that the model takes back is followed by another `StepStarted`. The request is repeated,
    after a wait, if the error is retryable and text had been streamed, or if `may_ask_again` (a
    model repeats by itself what fails before that), and once if the reply is empty; a second empty
    reply is yielded as it is. The completion's usage includes the empty attempt. Raises
    `ModelError`.
    """
    delays = iter(RETRY_DELAYS_S)
    usage = Usage()
    may_be_empty = False
    while True:
        yield StepStarted(step)
        attempt = _Attempt()
        try:
            async with aclosing(attempt.pieces(model, messages, tools, step)) as pieces:
                async for piece in pieces:
                    yield piece
        except ModelError as error:
            is_unrepeated = attempt.has_text or error.may_ask_again
            delay = next(delays, None) if error.is_retryable and is_unrepeated else None
            if delay is None:
                raise
            logger.warning("a model's answer broke off, asking again: %s", error.cause or error)
            await asyncio.sleep(delay)
            continue
        usage += attempt.completion.usage
        if may_be_empty or not is_empty(attempt.completion):
            yield _complete(attempt.completion, usage)
            return
        may_be_empty = True


def is_empty(completion: Completion) -> bool:
    return not completion.tool_calls and not completion.text.strip()


def _complete(completion: Completion, usage: Usage) -> Completion:
    return replace(
        completion,
        text=clean(completion.text),
        reasoning=clean(completion.reasoning),
        usage=usage,
    )


class _Attempt:
    """One call of the model; `completion` is there once `pieces` has ended."""

    completion: Completion

    def __init__(self) -> None:
        self.has_text = False

    async def pieces(
        self,
        model: ChatModel,
        messages: Sequence[ChatMessage],
        tools: Sequence[ToolSpec],
        step: int,
    ) -> AsyncGenerator[StepStarted | TextDelta, None]:
        completion = None
        async with aclosing(_guarded(model.stream(messages, tools))) as stream:
            async for piece in stream:
                if isinstance(piece, Completion):
                    completion = piece
                elif isinstance(piece, TakenBack):
                    self.has_text = False
                    yield StepStarted(step)
                elif piece:
                    self.has_text = True
                    yield TextDelta(step, clean(piece))
        if completion is None:
            raise ModelError("The model's answer broke off.", is_retryable=True)
        if completion.text and not self.has_text:
            yield TextDelta(step, clean(completion.text))
        self.completion = completion


async def _guarded(
    stream: AsyncIterator[str | TakenBack | Completion],
) -> AsyncGenerator[str | TakenBack | Completion, None]:
    """The model's stream; what it raises besides `ModelError` is logged and becomes one."""
    try:
        async for piece in stream:
            yield piece
    except ModelError:
        raise
    except Exception as error:
        logger.exception("a model raised")
        raise ModelError("The model failed unexpectedly.", is_retryable=False) from error
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
