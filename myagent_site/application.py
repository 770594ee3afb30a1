"""The site as an ASGI application, for any server."""

from __future__ import annotations

from typing import Any

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

from agents.runtime.base_path import below
from agents.serving import ServerProcess
from agents.sockets.handshake import SERVER, Receive, Scope, Send
from myagent_site.access import OpenAccess, TokenAccess
from myagent_site.bodies import BoundedBodies
from myagent_site.guard import Guard
from myagent_site.request_ids import NamedRequests
from myagent_site.routing import sockets
from myagent_site.safe_answers import SafeAnswers


class Serving:
    """ASGI middleware: puts the server into the scope, where consumers and views find it."""

    def __init__(self, application: Any, server: ServerProcess) -> None:
        self._application = application
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application({**scope, SERVER: self._server}, receive, send)


class BelowBase:
    """ASGI middleware: what is behind it finds the path from the site's own root in the scope."""

    def __init__(self, application: Any, base: str) -> None:
        self._application = application
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = below(scope, self._base)
        await self._application(scope, receive, send)


def application_for(server: ServerProcess) -> Serving:
    """Requests pass the checks of Host and Origin, and then get their principal.

    What a browser must not do with a response is added last, to refusals as well.
    """
    pages = BoundedBodies(get_asgi_application())
    router = ProtocolTypeRouter({"http": pages, "websocket": sockets})
    access = TokenAccess if settings.MYAGENT_AUTH == "token" else OpenAccess
    guarded: Any = Guard(access(router))
    if settings.MYAGENT_BASE_PATH:
        guarded = BelowBase(guarded, settings.MYAGENT_BASE_PATH)
    return Serving(SafeAnswers(NamedRequests(guarded)), server)
