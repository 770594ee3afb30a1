"""Which path speaks which dialect."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import parse_qs

from agents.chat_consumer import ChatConsumer
from agents.consumers import EventsConsumer
from agents.handshake import Receive, Scope, Send, refuse
from agents.runner import current_runner
from agents.sockets import SocketConsumer
from myagent.protocol import CloseCode

EVENTS_PATH = re.compile(r"/(ws/?|services/(?P<service>[^/]+)/?)?")
# A slash inside the user's id is encoded, but `path` is decoded.
CHAT_PATH = re.compile(r"/ws/chat/.*")


def dialect_of(path: str) -> type[SocketConsumer]:
    """What is spoken at a path; the events dialect where nothing is served."""
    return ChatConsumer if CHAT_PATH.fullmatch(path) else EventsConsumer


async def sockets(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application for sockets."""
    dialect = dialect_of(scope["path"])
    turn_away = partial(refuse, scope, receive, send, last_word=dialect.last_word)
    runner = current_runner()
    if runner is None:
        await turn_away(CloseCode.NO_SERVICE_AVAILABLE, "service_unavailable")
    elif not _is_served(scope, runner.service):
        await turn_away(CloseCode.NO_SUCH_SERVICE, "no_service")
    else:
        await runner.serve(scope, receive, send, dialect)


def _is_served(scope: Scope, service: str) -> bool:
    """Whether there is such a path, and whether it names this service if it names one."""
    if CHAT_PATH.fullmatch(scope["path"]):
        wanted = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("service", [])
        return wanted[:1] in ([], [service])
    path = EVENTS_PATH.fullmatch(scope["path"])
    return path is not None and path["service"] in (None, service)
