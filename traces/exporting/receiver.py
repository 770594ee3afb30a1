"""Sends requests to a receiver of OTLP over HTTP.

What may be tried again: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response. Other errors
of a receiver, with a status from 500 on, are tried again as well: they are not about the request.
"""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Self

import aiohttp

from traces.exporting.destination import Destination

TIMEOUT_S = 10.0
"""Seconds for one request."""

MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read."""

MOST_PAUSE_S = 300.0
"""Seconds that a receiver may ask for before the next attempt."""

HEADERS = {"Content-Type": "application/x-protobuf", "User-Agent": "myagent-site"}

TOO_MANY = 429


class Fate(Enum):
    ACCEPTED = auto()
    REFUSED = auto()
    """It will never be accepted."""
    AWAY = auto()
    """It may be accepted later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason`: for the log. `pause_s`: what the receiver asks for. `body`: of what it accepted."""

    fate: Fate
    reason: str = ""
    pause_s: float = 0.0
    body: bytes = b""


class Receiver:
    """A connection to one; to be used with `async with`."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        trust = destination.trust
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=True if trust is None else trust),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            headers=HEADERS | destination.headers,
            # Proxies, as everywhere.
            trust_env=True,
        )

    async def send(self, request: bytes) -> Answer:
        """Does not raise for what a receiver or the network does. Cancelling is safe."""
        headers = {}
        if self._destination.is_compressed:
            # Megabytes take longer than the event loop may be held up.
            request = await asyncio.to_thread(gzip.compress, request)
            headers = {"Content-Encoding": "gzip"}
        try:
            # Another address must not get the headers.
            async with self._session.post(
                self._destination.url, data=request, headers=headers, allow_redirects=False
            ) as response:
                return await _answer(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Its text may have the address.
            return Answer(Fate.AWAY, type(error).__name__)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    reason = f"HTTP {response.status}"
    if response.ok and response.status < 300:
        return Answer(Fate.ACCEPTED, reason, body=await response.content.read(MOST_ANSWER))
    if response.status == TOO_MANY or response.status >= 500:
        return Answer(Fate.AWAY, reason, _pause_s(response.headers.get("Retry-After", "")))
    return Answer(Fate.REFUSED, reason)


def _pause_s(text: str) -> float:
    """Dates are passed over: then its pause is one of ours."""
    return min(float(text), MOST_PAUSE_S) if text.isdecimal() and text.isascii() else 0.0
