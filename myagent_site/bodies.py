"""Limits the size of requests: Django itself would write any body to the disk first."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from agents.runtime.edge import headers_of
from agents.sockets.handshake import Receive, Scope, Send

LINGER_BYTES = 16 * 1024 * 1024
"""Bytes of a refused body that are still read: many clients read the response only after it."""


class BoundedBodies:
    """ASGI middleware: answers 413 to a body above `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        body = _Counted(receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if not body.is_announced_too_large(scope):
            await self._application(scope, body.receive, send)
        if body.is_too_large:
            await body.read_on(LINGER_BYTES)
            await _refuse(send)


class _Counted:
    """Ends a body that grows above the limit as if its sender had disconnected."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._read = 0
        self._has_ended = False
        self.is_too_large = False

    def is_announced_too_large(self, scope: Scope) -> bool:
        length = headers_of(scope).get(b"content-length", b"0")
        self.is_too_large = len(length) > 18 or not length.isdigit() or int(length) > self._limit
        return self.is_too_large

    async def receive(self) -> dict[str, Any]:
        message = await self._next()
        if self._read > self._limit:
            self.is_too_large = True
            return {"type": "http.disconnect"}
        return message

    async def read_on(self, limit: int) -> None:
        """Discards the rest of the body, up to this many bytes in all."""
        while not self._has_ended and self._read <= limit:
            await self._next()

    async def _next(self) -> dict[str, Any]:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        self._has_ended = not message.get("more_body", False)
        return message


async def _refuse(send: Send) -> None:
    body = b'{"detail": "The request is too large.", "code": "too_large"}'
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
