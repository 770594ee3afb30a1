"""Checks all requests first, HTTP and sockets alike."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_noop

from agents.runtime.edge import (
    headers_of,
    host_is_allowed,
    is_loopback,
    origin_is_allowed,
    scheme_of,
)
from agents.runtime.file_pages import PARAMETER, is_token
from agents.sentences import choose
from agents.sockets.handshake import REFUSAL, Receive, Refusal, Scope, Send, query_of
from myagent.protocol import CloseCode

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

OTHER_SITES = frozenset({b"cross-site", b"same-site"})
"""The value by which a browser marks requests of other sites' pages (Fetch Metadata)."""

FORBIDDEN = gettext_noop("This address or page may not use the site.")


class Guard:
    """ASGI middleware: refuses a Host that is not allowed, and pages of other sites.

    A safe HTTP request needs no Origin check: browsers themselves keep its response from other
    sites' pages. Any other must come from a program, the site's own pages or a listed origin. An
    open site's sockets, in contrast, accept every page on this machine.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not self._may_enter(scope):
            if scope["type"] == "http":
                await _forbid(scope, send)
                return
            # Its dialect has the words for it.
            sentence = "forbidden_file" if _is_of_a_file(scope) else ""
            refusal = Refusal(CloseCode.ORIGIN_NOT_ALLOWED, "forbidden", sentence)
            scope = {**scope, REFUSAL: refusal}
        if scope["type"] == "http":
            # Django compares the Origin of a form with it.
            scope = {**scope, "scheme": scheme_of(scope, settings.MYAGENT_TRUSTED_PROXIES)}
        await self._application(scope, receive, send)

    def _may_enter(self, scope: Scope) -> bool:
        headers = headers_of(scope)
        host = headers.get(b"host", b"").decode("latin-1")
        # Of several, Django reads another one, and logs an error.
        has_one = sum(name.lower() == b"host" for name, _ in scope["headers"]) == 1
        if not has_one or not host_is_allowed(host, settings.SITE_HOSTS):
            return False
        if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
            return True
        origin = headers.get(b"origin")
        if origin is None and headers.get(b"sec-fetch-site", b"none") in OTHER_SITES:
            return False
        if _is_of_a_file(scope) and any(map(is_token, query_of(scope).get(PARAMETER, ()))):
            return True
        return origin_is_allowed(
            None if origin is None else origin.decode("latin-1"),
            host,
            settings.MYAGENT_ALLOWED_ORIGINS,
            is_open_on_loopback=_is_open_socket(scope),
            is_over_tls=scheme_of(scope, settings.MYAGENT_TRUSTED_PROXIES) in ("https", "wss"),
        )


def _is_of_a_file(scope: Scope) -> bool:
    """Whether a page opened from a file opens a socket where such pages can be admitted."""
    is_null = headers_of(scope).get(b"origin") == b"null"
    return is_null and _is_open_socket(scope)


def _is_open_socket(scope: Scope) -> bool:
    """Whether it is a socket of an open site that is reached over loopback."""
    server = scope.get("server") or ("", 0)
    is_open = scope["type"] == "websocket" and settings.MYAGENT_AUTH == "open"
    return is_open and is_loopback(str(server[0]))


async def _forbid(scope: Scope, send: Send) -> None:
    accepted = headers_of(scope).get(b"accept-language", b"").decode("latin-1")
    with translation.override(choose(accept_language=accepted)):
        body = orjson.dumps({"detail": translation.gettext(FORBIDDEN), "code": "forbidden"})
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
