"""Keeps cookies that were set over https, for example to a trusted proxy, on https."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse


def secure_over_tls(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: marks cookies set over https as secure.

    Responses over http are unchanged: the same site may be reached both ways, and without a proxy
    on this machine.
    """

    async def middleware(request: HttpRequest) -> HttpResponse:
        response = await get_response(request)
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
        return response

    return middleware


secure_over_tls.async_capable = True  # type: ignore[attr-defined]
secure_over_tls.sync_capable = False  # type: ignore[attr-defined]
