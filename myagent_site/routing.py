"""Which path speaks which dialect, and of which service."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import parse_qs

from agents.chat_consumer import ChatConsumer
from agents.consumers import EventsConsumer
from agents.handshake import Receive, Scope, Send, refuse
from agents.serving import current_server
from agents.sockets import SocketConsumer
from myagent.protocol import CloseCode
from services.own_ports import OWN_DOOR

SERVICE_DOOR = r"/services/(?P<service>[^/]+)"
EVENTS_PATH = re.compile(rf"(/|/ws/?|{SERVICE_DOOR}/?)")
# A slash inside the user's id is encoded, but `path` is decoded.
CHAT_PATH = re.compile(rf"({SERVICE_DOOR})?/ws/chat/.*")


def dialect_of(path: str) -> type[SocketConsumer]:
    """What is spoken at a path; the events dialect where nothing is served."""
    return ChatConsumer if CHAT_PATH.fullmatch(path) else EventsConsumer


async def sockets(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application for sockets."""
    dialect = dialect_of(scope["path"])
    turn_away = partial(refuse, scope, receive, send, render=dialect.render_problem)
    server = current_server()
    if server is None:
        await turn_away(CloseCode.NO_SERVICE_AVAILABLE, "service_unavailable")
        return
    path = CHAT_PATH.fullmatch(scope["path"]) or EVENTS_PATH.fullmatch(scope["path"])
    if path is None:
        await turn_away(CloseCode.NO_SUCH_SERVICE, "no_service")
        return
    named = _services_named(scope, path["service"])
    if len(named) > 1:
        await turn_away(CloseCode.NO_SUCH_SERVICE, "no_service")
        return
    await server.serve(scope, receive, send, dialect, next(iter(named), None))


def _services_named(scope: Scope, in_path: str | None) -> set[str]:
    """Whose door it is, by an own port, by the path and by `?service=`; two are no door at all."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    in_query = next(iter(query.get("service", ())), None)
    return {str(name) for name in (scope.get(OWN_DOOR), in_path, in_query) if name is not None}
