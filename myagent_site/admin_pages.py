"""Rules for all pages of the admin: where they are served, and what they may do."""

from __future__ import annotations

import zoneinfo
from collections.abc import Awaitable, Callable

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

ADMIN = "admin/"

TIME_ZONE_COOKIE = "myagent_timezone"
"""The cookie in which the browser says its user's time zone, as in `Asia/Shanghai`."""

SLOW_LOOKUPS = frozenset({"regex", "iregex"})
"""Lookups that Django's lists accept in a URL; a malicious pattern blocks SQLite forever."""

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
    """Middleware: admin pages run only the site's scripts, in no frame, and show the user's times.

    Raises `SuspiciousOperation` for a list that is filtered by a regular expression.
    """

    async def middleware(request: HttpRequest) -> HttpResponse:
        is_admin = request.path_info.startswith(f"/{ADMIN}")
        if is_admin and any(SLOW_LOOKUPS.intersection(name.split("__")) for name in request.GET):
            raise SuspiciousOperation("Lists are not filtered by regular expressions.")
        with timezone.override(_zone_of(request) if is_admin else None):
            response = await get_response(request)
        if is_admin:
            for name, value in ADMIN_HEADERS.items():
                response.headers[name] = value
        return response

    return middleware


def _zone_of(request: HttpRequest) -> zoneinfo.ZoneInfo | None:
    """None, which is UTC, until the browser has set the cookie; it may contain anything."""
    try:
        return zoneinfo.ZoneInfo(request.COOKIES.get(TIME_ZONE_COOKIE, ""))
    except (KeyError, ValueError, OSError):  # No such zone, a path, a name longer than any file's.
        return None


protect_admin_pages.async_capable = True  # type: ignore[attr-defined]
protect_admin_pages.sync_capable = False  # type: ignore[attr-defined]
