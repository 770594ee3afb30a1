"""Calls of a chat model's server: the part that needs the openai package."""

from __future__ import annotations

from typing import Any, cast

import httpx2
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from myagent import installed

_CONNECT_S = 10.0


def open_client(
    *, api_key: str | None, base_url: str | None, timeout_s: float, max_retries: int
) -> AsyncOpenAI:
    timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
    with installed.packages():
        return AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            http_client=DefaultAioHttpClient(timeout=timeout),
        )


async def ask(client: AsyncOpenAI, body: bytes) -> httpx2.Response:
    """The response, its head read. Raises `failures.CALL_FAILURES`."""
    response = await client.post(
        "/chat/completions",
        content=body,
        cast_to=httpx2.Response,
        stream=True,
        stream_cls=AsyncStream[Any],
    )
    # The type of a stream is declared; asked for as a response, it is that.
    return cast("httpx2.Response", response)
