"""Which path speaks which dialect."""

from __future__ import annotations

import re

from agents.handshake import Receive, Scope, Send, refuse
from agents.runner import current_runner
from myagent.protocol import CloseCode

EVENTS_PATH = re.compile(r"/(ws/?|services/(?P<service>[^/]+)/?)?")


async def sockets(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application for sockets."""
    path = EVENTS_PATH.fullmatch(scope["path"])
    runner = current_runner()
    service = path["service"] if path else None
    if runner is None:
        code = CloseCode.NO_SERVICE_AVAILABLE
        await refuse(scope, receive, send, code, "service_unavailable")
    elif path is None or service not in (None, runner.service):
        await refuse(scope, receive, send, CloseCode.NO_SUCH_SERVICE, "no_service")
    else:
        await runner.serve(scope, receive, send)
