"""The body of a streamed HTTP response, read event by event."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import aiohttp
import httpx2

from myagent.models.base import ModelError
from myagent.models.sse import DONE, EventSplitter, EventTooLongError

_HEAD_BYTES = 300
_LAST_BYTES_S = 0.2


class ReplyBody:
    """The JSON events of a reply. `is_done` once the server said that it was the last."""

    def __init__(self, response: httpx2.Response, *, stall_timeout_s: float) -> None:
        self._response = response
        self._silence_s = stall_timeout_s
        self.is_done = False
        self.head = b""
        """The first bytes of the body: they identify a body that is not a reply."""

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yields each event's data but the closing `[DONE]`; cancelling is safe.

        Raises `ModelError` when the connection is lost, or silent for too
        long, and when an event is too long.
        """
        splitter = EventSplitter()
        try:
            async with contextlib.aclosing(self._pieces()) as pieces:
                async for piece in pieces:
                    if len(self.head) < _HEAD_BYTES:
                        self.head += piece[:_HEAD_BYTES]
                    for data in splitter.feed(piece):
                        if self._is_news(data):
                            yield data
            for data in splitter.close():
                if self._is_news(data):
                    yield data
        except EventTooLongError as error:
            raise ModelError("The model's reply is too long.", is_retryable=False) from error

    def _is_news(self, data: bytes) -> bool:
        if data == DONE:
            # What is left is the end of the body, which makes the connection free for reuse.
            self.is_done, self._silence_s = True, _LAST_BYTES_S
        return not self.is_done

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(self._response.aiter_bytes()) as pieces:
            while True:
                try:
                    async with asyncio.timeout(self._silence_s):
                        piece = await anext(pieces, None)
                except (OSError, httpx2.HTTPError, aiohttp.ClientError) as error:
                    if self.is_done:
                        return
                    raise _lost(error, self._silence_s) from error
                if piece is None:
                    return
                yield piece


def _lost(error: Exception, silence_s: float) -> ModelError:
    if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
        return ModelError(
            "The model stopped in the middle of its answer.",
            is_retryable=True,
            may_ask_again=True,
            cause=f"no byte for {silence_s:g} s (MYAGENT_MODEL_TIMEOUT_S)",
        )
    return ModelError(
        "The connection to the model was lost in the middle of its answer.",
        is_retryable=True,
        may_ask_again=True,
        cause=f"{type(error).__name__}: {error}",
    )
