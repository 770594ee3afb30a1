"""Sockets to external services, which are foreign programs: bounded, direct, uncompressed."""

from __future__ import annotations

import asyncio

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from agents.runtime.edge import Headers

logger = structlog.get_logger(__name__)

FORWARDED = "x-myagent-forwarded"
"""The header by which a site recognises that another one forwards a client, or checks it."""

MAX_FRAME_BYTES = 1024 * 1024
"""A service's frame above this many bytes ends the socket."""

MOST_READ_AHEAD = 2
"""Frames of a service that wait here for a client; with more, nothing is read from the service."""

GOODBYE_S = 1.0
"""Seconds that a service has to answer the closing of a socket."""

FAILURES = (OSError, WebSocketException, ValueError)
"""Why no socket could be opened; `TimeoutError` is one of them."""


class _Direct(connect):
    """Follows no redirect: whoever registered the address vouched for that one alone."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(url: str, timeout_s: float, *, lang: str = "en") -> ClientConnection:
    """Opens a socket. Raises `FAILURES`. Cancelling is safe.

    Nothing that the client proved itself with goes along, only its language.
    """
    async with asyncio.timeout(timeout_s):
        return await _Direct(
            url,
            additional_headers={FORWARDED: "1", "Accept-Language": lang},
            compression=None,
            proxy=None,
            open_timeout=None,
            max_size=MAX_FRAME_BYTES,
            max_queue=MOST_READ_AHEAD,
        )


async def hang_up(socket: ClientConnection) -> None:
    """Closes the socket. A peer that does not answer is cut off, or the socket would stay open."""
    try:
        async with asyncio.timeout(GOODBYE_S):
            await socket.close()
    except TimeoutError:
        logger.debug("goodbye_not_answered", peer=str(socket.remote_address))
    finally:
        socket.transport.abort()


def is_forwarded(headers: Headers) -> bool:
    """Whether the client is itself a site that forwards one of its clients."""
    return FORWARDED.encode() in headers
