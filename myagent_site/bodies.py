"""Limits the size of requests, and what a process holds of all of them together.

Django itself would read any body before it asks who sent it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import orjson
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_noop

from agents.runtime.edge import headers_of
from agents.sentences import choose
from agents.sockets.handshake import Receive, Scope, Send

LINGER_BYTES = 16 * 1024 * 1024
"""Bytes of a refused body that are still read: many clients read the response only after it."""

LINGER_S = 2.0
"""Seconds for which the rest of a body is read that is refused for lack of room."""

MOST_HELD = 32 * 1024 * 1024
"""Bytes of bodies that a process holds for requests that are not answered yet."""

SMALL_BODY = 4 * 1024
"""Bytes up to which a body is never refused, such as a login: a connection costs more."""

TOO_LARGE = gettext_noop("The request is too large.")
TOO_MUCH = gettext_noop("Too much is being sent to this server. Wait a moment, then try again.")


class Held:
    """How many bytes of bodies a process holds. `most`: beyond it, the newest is refused."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self.most = most
        self.size = 0


HELD = Held()
"""What this process holds, for all of its applications."""


class BoundedBodies:
    """ASGI middleware: answers 413 to a body above `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes.

    503 to one for which the process has no room: see `Held`.
    """

    def __init__(self, application: Any, held: Held = HELD) -> None:
        self._application = application
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        body = _Counted(receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE, self._held)
        if not body.is_announced_too_large(scope):
            try:
                await self._application(scope, body.receive, send)
            finally:
                body.release()
        if body.is_too_large:
            await _refuse(scope, send, 413, TOO_LARGE, "too_large")
            await body.read_on(LINGER_BYTES)
        elif body.is_too_much:
            await _refuse(scope, send, 503, TOO_MUCH, "overloaded")
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await body.read_on(LINGER_BYTES)
        else:
            return
        await send({"type": "http.response.body", "body": b""})


class _Counted:
    """Ends a body that grows above a limit as if its sender had disconnected."""

    def __init__(self, receive: Receive, limit: int, held: Held) -> None:
        self._receive = receive
        self._limit = limit
        self._held = held
        self._own = 0
        self._read = 0
        self._has_ended = False
        self.is_too_large = False
        self.is_too_much = False

    def is_announced_too_large(self, scope: Scope) -> bool:
        length = headers_of(scope).get(b"content-length", b"0")
        self.is_too_large = len(length) > 18 or not length.isdigit() or int(length) > self._limit
        return self.is_too_large

    async def receive(self) -> dict[str, Any]:
        message = await self._next()
        size = len(message.get("body", b""))
        if self._read > self._limit:
            self.is_too_large = True
        elif self._read > SMALL_BODY and size and self._held.size + size > self._held.most:
            self.is_too_much = True
        else:
            self._own += size
            self._held.size += size
            return message
        return {"type": "http.disconnect"}

    def release(self) -> None:
        """The application has ended, and holds the body no longer."""
        self._held.size -= self._own
        self._own = 0

    async def read_on(self, limit: int) -> None:
        """Discards the rest of the body, up to this many bytes in all."""
        while not self._has_ended and self._read <= limit:
            await self._next()

    async def _next(self) -> dict[str, Any]:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        self._has_ended = not message.get("more_body", False)
        return message


async def _refuse(scope: Scope, send: Send, status: int, sentence: str, code: str) -> None:
    """Sends all of the response, but does not end it: the server would close the connection."""
    accepted = headers_of(scope).get(b"accept-language", b"").decode("latin-1")
    with translation.override(choose(accept_language=accepted)):
        body = orjson.dumps({"detail": translation.gettext(sentence), "code": code})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
