"""Names every HTTP request, in its answer and in the log lines that it causes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bound_contextvars

from agents.runtime.ids import new_id

HEADER = "X-Request-ID"

USABLE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
"""What a proxy's name for a request may be; another one is replaced."""


def name_requests(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: the name that a proxy gave, else a new one."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        said = request.headers.get(HEADER, "")
        request_id = said if USABLE.fullmatch(said) else new_id()
        with bound_contextvars(request_id=request_id):
            response = await get_response(request)
        response.headers[HEADER] = request_id
        return response

    return middleware


name_requests.async_capable = True  # type: ignore[attr-defined]
name_requests.sync_capable = False  # type: ignore[attr-defined]
