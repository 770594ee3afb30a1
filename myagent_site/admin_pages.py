"""What holds for every page of the admin: where it is, and what its pages may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponse

ADMIN = "admin/"

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
    # Django compares the Referer of a form over https; a page elsewhere must not learn it.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def protect_admin_pages(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: pages of the admin run the site's own scripts only, and are in no frame."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        response = await get_response(request)
        if request.path_info.startswith(f"/{ADMIN}"):
            for name, value in ADMIN_HEADERS.items():
                response.headers[name] = value
        return response

    return middleware


protect_admin_pages.async_capable = True  # type: ignore[attr-defined]
protect_admin_pages.sync_capable = False  # type: ignore[attr-defined]
