"""The site as an ASGI application, for any server."""

from __future__ import annotations

from typing import Any

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

from agents.serving import ServerProcess
from agents.sockets.handshake import SERVER, Receive, Scope, Send
from myagent_site.access import OpenAccess, TokenAccess
from myagent_site.bodies import BoundedBodies
from myagent_site.guard import Guard
from myagent_site.routing import sockets


class Serving:
    """ASGI middleware: puts the server into the scope, where consumers and views find it."""

    def __init__(self, application: Any, server: ServerProcess) -> None:
        self._application = application
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application({**scope, SERVER: self._server}, receive, send)


def application_for(server: ServerProcess) -> Serving:
    """Requests pass the checks of Host and Origin, and then get their principal."""
    pages = BoundedBodies(get_asgi_application())
    router = ProtocolTypeRouter({"http": pages, "websocket": sockets})
    access = TokenAccess if settings.MYAGENT_AUTH == "token" else OpenAccess
    return Serving(Guard(access(router)), server)
