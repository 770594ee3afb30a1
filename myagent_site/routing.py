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
    await server.serve(scope, receive, send, dialect, _service_of(scope, path["service"]))


def _service_of(scope: Scope, in_path: str | None) -> str | None:
    """The service whose door it is: that of an own port, of the path, of `?service=`."""
    if own := scope.get(OWN_DOOR):
        return str(own)
    if in_path is not None or dialect_of(scope["path"]) is EventsConsumer:
        return in_path
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return next(iter(query.get("service", ())), None)
