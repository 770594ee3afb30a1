"""Names every HTTP request, in its answer and in the log lines that it causes."""

from __future__ import annotations

import re
import time
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from agents.runtime import logs
from agents.runtime.edge import headers_of
from agents.runtime.ids import new_id
from agents.sockets.handshake import Receive, Scope, Send

logger = structlog.get_logger(__name__)

HEADER = b"x-request-id"

USABLE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
"""What a proxy's name for a request may be; another one is replaced."""


class NamedRequests:
    """ASGI middleware: the name that a proxy gave, else a new one.

    It is around all of Django, which logs refusals after its own middleware has ended.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        said = headers_of(scope).get(HEADER, b"").decode("latin-1")
        request_id = said if USABLE.fullmatch(said) else new_id()
        began = time.perf_counter()

        async def send_named(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (HEADER, request_id.encode())]
                message = {**message, "headers": headers}
                if logs.is_debug():
                    logger.debug("request", **_told(scope, message["status"], began))
            await send(message)

        with bound_contextvars(request_id=request_id):
            await self._application(scope, receive, send_named)


def _told(scope: Scope, status: int, began: float) -> dict[str, Any]:
    """Without its query, which may have a token."""
    duration_ms = round((time.perf_counter() - began) * 1000, 1)
    method, path = scope["method"], scope["path"]
    return {"method": method, "path": path, "status": status, "duration_ms": duration_ms}
