"""Calls of a chat model's server: the part that needs the openai package.

The package builds a request anew for every call, which costs more than sending it. What it made of
the first one is kept, so that later calls differ in their body alone; those that fail go on in the
package, which decides whether to ask again, when, and what the error says.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, NamedTuple, Self, cast

import aiohttp
import httpx2

from myagent import installed
from myagent.models.addresses import has_host, is_socks, is_web, named, proxy_for
from myagent.models.base import ModelError
from myagent.models.package import (
    AsyncOpenAI,
    AsyncStream,
    DefaultAioHttpClient,
    DefaultAsyncHttpxClient,
)

_CONNECT_S = 10.0

_TRANSPORT_FAILURES = (httpx2.HTTPError, aiohttp.ClientError, OSError)

Outcome = httpx2.Response | Exception
"""What became of a request: a response whose head was read, or what sending it raised."""

_known: ContextVar[Outcome | None] = ContextVar("_known", default=None)
"""The outcome of the request that the package is about to send."""


class _Head(NamedTuple):
    """All of a request but its body."""

    method: str
    url: httpx2.URL
    headers: list[tuple[str, str]]
    extensions: dict[str, Any]

    @classmethod
    def of(cls, request: httpx2.Request) -> Self:
        headers = request.headers.multi_items()
        others = [each for each in headers if each[0].lower() != "content-length"]
        return cls(request.method, request.url, others, request.extensions)

    def before(self, body: bytes, cookies: httpx2.Cookies) -> httpx2.Request:
        """The request with this body, and the cookies that have come since."""
        return httpx2.Request(
            self.method,
            self.url,
            headers=self.headers,
            cookies=cookies,
            content=body,
            extensions=self.extensions,
        )


class _Http(httpx2.AsyncClient):
    """What both kinds of HTTP clients of the package get here.

    `first_head`: of the first request that was sent; None until then.
    """

    first_head: _Head | None = None

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if self.first_head is None:
            self.first_head = _Head.of(request)
        if (outcome := _known.get()) is None:
            return await super().send(request, **options)
        _known.set(None)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class _AioHttp(_Http, DefaultAioHttpClient):
    pass


class _Httpx(_Http, DefaultAsyncHttpxClient):
    pass


class ModelClient:
    """The package's client of one address. `open_client` makes it."""

    def __init__(self, client: AsyncOpenAI, http: _Http) -> None:
        self._client = client
        self._http = http

    @property
    def api_key(self) -> str:
        return self._client.api_key

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, body: bytes) -> httpx2.Response:
        """The response, its head read. Raises `failures.CALL_FAILURES`."""
        if (head := self._http.first_head) is None:
            return await self._post(body)
        outcome: Outcome
        try:
            request = head.before(body, self._http.cookies)
            outcome = await self._http.send(request, stream=True)
        except _TRANSPORT_FAILURES as error:
            outcome = error
        if isinstance(outcome, httpx2.Response) and outcome.is_success:
            return outcome
        token = _known.set(outcome)
        try:
            return await self._post(body)
        finally:
            _known.reset(token)

    async def _post(self, body: bytes) -> httpx2.Response:
        response = await self._client.post(
            "/chat/completions",
            content=body,
            cast_to=httpx2.Response,
            stream=True,
            stream_cls=AsyncStream[Any],
        )
        # The type of a stream is declared; asked for as a response, it is that.
        return cast("httpx2.Response", response)


def open_client(
    *, api_key: str | None, address: str, timeout_s: float, max_retries: int
) -> ModelClient:
    """Raises `ModelError` for an unusable address or proxy."""
    _check(address)
    timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
    with installed.packages():
        http = _http_client(proxy_for(address), timeout)
        client = AsyncOpenAI(
            api_key=api_key,
            base_url=address,
            timeout=timeout,
            max_retries=max_retries,
            http_client=http,
        )
    return ModelClient(client, http)


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


def _http_client(proxy: str | None, timeout: httpx2.Timeout) -> _Http:
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
            return _AioHttp(proxy=proxy, **options)
        # The proxy resolves the name, because the other transport does not support SOCKS.
        return _Httpx(proxy=f"socks5h://{proxy.partition('://')[2]}", **options)
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
