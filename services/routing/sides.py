"""Servers with one side only: the sockets, or the pages and the REST interface. No I/O."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from agents.sockets.handshake import REFUSAL, Receive, Refusal, Scope, Send
from myagent.protocol import CloseCode

SIDE = "myagent.side"
"""In a scope: the one `Side` of the server; absent if it has both."""


class Side(StrEnum):
    """What a server has."""

    SOCKETS = "sockets"
    PAGES = "pages"


def one_sided(application: Any, side: Side) -> Any:
    """The ASGI application with that side: what belongs to the other says so in its own way."""
    labels: dict[str, Any] = {SIDE: side}
    refusal = Refusal(CloseCode.NO_SUCH_SERVICE, "no_service", "only_pages")

    # A function: uvicorn takes a method for something else.
    async def with_side(scope: Scope, receive: Receive, send: Send) -> None:
        refused = side is Side.PAGES and scope["type"] == "websocket"
        added = labels | ({REFUSAL: refusal} if refused else {})
        await application({**scope, **added}, receive, send)

    return with_side


def side_of(request: Any) -> Side | None:
    """The one side of the server that a request came to."""
    side: Side | None = getattr(request, "scope", {}).get(SIDE)
    return side
