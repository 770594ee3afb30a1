"""How answers with 503 are logged: what is away just now is no error of the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from django.http import HttpRequest, HttpResponse
from django.utils.log import log_response

UNAVAILABLE = 503

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponse]]


def note(request: HttpRequest, response: HttpResponse, level: Literal["debug", "warning"]) -> None:
    """Logs an answer before Django does, which logs each once: from 500 on as an error."""
    log_response(
        "%s: %s",
        response.reason_phrase,
        request.path,
        response=response,
        request=request,
        level=level,
    )


def log_as_warnings(get_response: GetResponse) -> GetResponse:
    """Middleware: an answer with 503 is a warning, and not an error that somebody is called for.

    Whoever asks for the health of a server gets many of them while the database is away.
    """

    async def middleware(request: HttpRequest) -> HttpResponse:
        response = await get_response(request)
        if response.status_code == UNAVAILABLE:
            note(request, response, "warning")
        return response

    return middleware


log_as_warnings.async_capable = True  # type: ignore[attr-defined]
log_as_warnings.sync_capable = False  # type: ignore[attr-defined]
