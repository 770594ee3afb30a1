"""Keeps cookies and browsers that came over https, for example to a trusted proxy, on https."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port

from agents.runtime.edge import is_loopback


def secure_over_tls(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Middleware: marks cookies set over https as secure, and keeps the browser on https (HSTS).

    Responses over http are unchanged: the same site may be reached both ways, and without a proxy
    on this machine.
    """

    async def middleware(request: HttpRequest) -> HttpResponse:
        response = await get_response(request)
        if request.is_secure():
            for cookie in response.cookies.values():
                cookie["secure"] = True
            # A browser would apply it to all ports of this machine.
            if settings.MYAGENT_HSTS_S and not is_loopback(_domain(request)):
                response.headers["Strict-Transport-Security"] = f"max-age={settings.MYAGENT_HSTS_S}"
        return response

    return middleware


def _domain(request: HttpRequest) -> str:
    domain, _ = split_domain_port(request.get_host())
    return domain


secure_over_tls.async_capable = True  # type: ignore[attr-defined]
secure_over_tls.sync_capable = False  # type: ignore[attr-defined]
