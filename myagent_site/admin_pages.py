"""Rules for all pages of the admin: where they are served, and what they may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse

ADMIN = "admin/"

SLOW_LOOKUPS = frozenset({"regex", "iregex"})
"""Lookups that Django's lists accept in a URL; on SQLite a malicious pattern blocks the whole
process for ever."""

ADMIN_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
    # Django checks the Referer of forms over https; other sites must not see it.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def protect_admin_pages(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: pages of the admin run the site's own scripts only, and are in no frame.

    Raises `SuspiciousOperation` for a list that is filtered by a regular expression.
    """

    async def middleware(request: HttpRequest) -> HttpResponse:
        is_admin = request.path_info.startswith(f"/{ADMIN}")
        if is_admin and any(SLOW_LOOKUPS.intersection(name.split("__")) for name in request.GET):
            raise SuspiciousOperation("Lists are not filtered by regular expressions.")
        response = await get_response(request)
        if is_admin:
            for name, value in ADMIN_HEADERS.items():
                response.headers[name] = value
        return response

    return middleware


protect_admin_pages.async_capable = True  # type: ignore[attr-defined]
protect_admin_pages.sync_capable = False  # type: ignore[attr-defined]
