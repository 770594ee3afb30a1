"""The principals of clients."""

from __future__ import annotations

from typing import Any

from agents.sockets.handshake import PRINCIPAL, Receive, Scope, Send


class OpenAccess:
    """ASGI middleware for open mode: nobody has to authenticate."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application({**scope, PRINCIPAL: None}, receive, send)
