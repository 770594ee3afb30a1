"""Calls of a chat model's server: the part that needs the openai package."""

from __future__ import annotations

from typing import Any, cast

import httpx2
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient, DefaultAsyncHttpxClient

from myagent import installed
from myagent.models.addresses import has_host, is_socks, is_web, named, proxy_for
from myagent.models.base import ModelError

_CONNECT_S = 10.0


def open_client(
    *, api_key: str | None, address: str, timeout_s: float, max_retries: int
) -> AsyncOpenAI:
    """Raises `ModelError` for an unusable address or proxy."""
    _check(address)
    timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
    with installed.packages():
        return AsyncOpenAI(
            api_key=api_key,
            base_url=address,
            timeout=timeout,
            max_retries=max_retries,
            http_client=_http_client(proxy_for(address), timeout),
        )


def _check(address: str) -> None:
    if not is_web(address):
        raise ModelError(
            "The model can't be asked: its address (OPENAI_BASE_URL) must begin with http:// or "
            "https://.",
            is_retryable=False,
            cause=named(address),
        )
    if not has_host(address):
        raise ModelError(
            "The model can't be asked: its address or API key is not a valid one.",
            is_retryable=False,
            cause=f"{named(address)}: no valid host and port",
        )


def _http_client(proxy: str | None, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """The environment determines the trusted certificates; its proxies are handled here.

    The package would raise for an unknown kind of proxy even if the server is reached without it.
    """
    options: dict[str, Any] = {
        "timeout": timeout,
        "trust_env": False,
        "verify": httpx2.create_ssl_context(trust_env=True),
    }
    try:
        if proxy is None or not is_socks(proxy):
            return DefaultAioHttpClient(proxy=proxy, **options)
        # The proxy resolves the name, because the other transport does not support SOCKS.
        return DefaultAsyncHttpxClient(proxy=f"socks5h://{proxy.partition('://')[2]}", **options)
    except ImportError as error:
        raise ModelError(
            "The model can't be asked through the SOCKS proxy {proxy}: the agent's environment "
            "lacks the package 'socksio'.",
            is_retryable=False,
            proxy=named(proxy or ""),
        ) from error
    except ValueError as error:
        raise ModelError(
            "The model can't be asked through the proxy {proxy}: proxies of this kind are not "
            "supported, but http, https and socks5 are.",
            is_retryable=False,
            proxy=named(proxy or ""),
        ) from error


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
