"""Views whose work is awaited on the server's event loop, once the request was checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

import structlog
from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import get_language, gettext
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from agents.calls.call import Call
from agents.calls.stream import Stream
from agents.ports import Refused
from agents.sentences import say, supported
from agents.serving import ServerProcess, server_of
from agents.sockets.handshake import WATCH, Scope
from services.rest import errors
from services.rest.base import View
from services.rest.conversations.who import MayConverse, principal_of

AnyCall = TypeVar("AnyCall", bound=Call)

logger = structlog.get_logger(__name__)

STREAM_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # A proxy that buffers responses would delay all events.
    "X-Accel-Buffering": "no",
}

STATUSES = {
    "invalid_json": 400,
    "invalid_event": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "no_service": 404,
    "unknown_session": 404,
    "unknown_message": 404,
    "session_closed": 409,
    "busy": 409,
    "not_waiting": 409,
    "too_many_sessions": 409,
    "too_large": 413,
    "rate_limited": 429,
    "internal_error": 500,
}
"""By the protocol's codes; 503 for all others."""

RETRY_AFTER_S = 1
"""Seconds after which a request may be granted, if nothing more is known."""


class Problem(APIException):
    """An error with a code of the protocol, or of this interface.

    `limit` and `retry_after_s`: as for `agents.transients.Problem`.
    """

    def __init__(
        self,
        code: str,
        sentence: str = "",
        *,
        status: int | None = None,
        limit: str = "",
        retry_after_s: int | None = None,
    ) -> None:
        self.status_code = status or STATUSES.get(code, 503)
        self.more: dict[str, Any] = {"limit": limit} if limit else {}
        if retry_after_s is not None:
            self.more["retry_after_s"] = retry_after_s
        super().__init__(sentence or say(own_language(), code), code)


class Later(Response):
    """The response to a request that was checked; `work` completes it, or replaces it."""

    def __init__(self, work: Callable[[Later], Awaitable[HttpResponseBase | None]]) -> None:
        super().__init__(None, 200)
        self._work = work

    async def finish(self) -> HttpResponseBase:
        try:
            return await self._work(self) or self
        except Refused as error:
            self._refuse(refused(error))
        except Exception as error:
            self._refuse(error)
        return self

    def _refuse(self, error: Exception) -> None:
        answer = errors.answer(error, {})
        self.status_code, self.data = answer.status_code, answer.data
        if answer.status_code in (429, 503):
            self["Retry-After"] = str(self.data.setdefault("retry_after_s", RETRY_AFTER_S))


class ConversationView(View):
    """The base of the views on conversations; a method may return a `Later`."""

    permission_classes: Any = (MayConverse,)

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        check = super().as_view(**initkwargs)

        @wraps(check)
        async def view(request: HttpRequest, **path: str) -> HttpResponseBase:
            response: HttpResponseBase = await sync_to_async(check)(request, **path)
            return await response.finish() if isinstance(response, Later) else response

        return view


def refused(error: Refused) -> Problem:
    """What a session refuses, in the client's language."""
    wait_s = error.retry_after_s
    words = {"detail": error.detail, "retry_after_s": wait_s}
    sentence = say(own_language(), error.sentence or error.code, **words)
    return Problem(error.code, sentence, limit=error.limit, retry_after_s=wait_s)


def own_language() -> str:
    """The active language, which is the client's."""
    return supported(get_language()) or "en"


async def call_of(request: Request, kind: type[AnyCall], **options: Any) -> AnyCall:
    """The client's request as a connection of this server. It leaves when the request ends.

    Raises `Refused` and `Problem`.
    """
    server = serving(request)
    principal = await sync_to_async(principal_of)(request)
    scope: Scope = request._request.scope  # type: ignore[attr-defined]
    call = kind(server, scope, own_language(), principal, **options)
    await call.enter()
    task = asyncio.current_task()
    assert task is not None
    # Whatever becomes of the response: it may never be read.
    task.add_done_callback(lambda _: call.leave())
    return call


def serving(request: Request) -> ServerProcess:
    """The server of this process. Raises `Problem` if it has no sockets' side."""
    server = server_of(request._request)
    if server is None:
        sentence = gettext(
            "This process serves no conversations. Ask one that does: it listens for sockets, too."
        )
        raise Problem("service_unavailable", sentence)
    return server


def streaming(stream: Stream) -> StreamingHttpResponse:
    """The response; it ends within seconds once the client may not read it any more."""
    stream.scope[WATCH](stream)
    return StreamingHttpResponse(
        stream.read(), content_type="text/event-stream; charset=utf-8", headers=STREAM_HEADERS
    )


def wants_stream(request: Request) -> bool:
    return request.method != "HEAD" and "text/event-stream" in request.headers.get("Accept", "")
