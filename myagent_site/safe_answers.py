"""Tells browsers what they must not do with a response, whoever of the site has made it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http.request import split_domain_port

from agents.runtime.edge import headers_of, is_loopback, scheme_of
from agents.runtime.http.safe_headers import SAFE_HEADERS, completed
from agents.sockets.handshake import Receive, Scope, Send


class SafeAnswers:
    """ASGI middleware: adds the headers of `SAFE_HEADERS` that a response does not have.

    Over https it also keeps the browser on https (HSTS). Responses over http promise nothing: the
    same site may be reached both ways, and without a proxy on this machine.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_safely(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                added = SAFE_HEADERS + _strict_transport(scope)
                message = {**message, "headers": completed(message.get("headers", ()), added)}
            await send(message)

        await self._application(scope, receive, send_safely)


def _strict_transport(scope: Scope) -> list[tuple[bytes, bytes]]:
    """For https alone, and not for loopback: a browser would apply it to all ports there."""
    if not settings.MYAGENT_HSTS_S:
        return []
    if scheme_of(scope, settings.MYAGENT_TRUSTED_PROXIES) != "https":
        return []
    host, _ = split_domain_port(headers_of(scope).get(b"host", b"").decode("latin-1"))
    if not host or is_loopback(host):
        return []
    return [(b"strict-transport-security", b"max-age=%d" % settings.MYAGENT_HSTS_S)]
