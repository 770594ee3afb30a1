"""What a server with one side lets through, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from agents.sockets.handshake import REFUSAL
from services.routing.sides import SIDE, Side, one_sided


async def let_through(side: Side, kind: str) -> dict[str, Any]:
    """The scope that the application gets."""
    seen: dict[str, Any] = {}

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.update(scope)

    await one_sided(application, side)({"type": kind, "path": "/"}, None, None)
    return seen


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("side", Side)
async def test_only_sockets_at_a_server_of_pages_are_refused(side: Side, kind: str) -> None:
    scope = await let_through(side, kind)
    assert scope[SIDE] is side and scope["path"] == "/"
    is_refused = side is Side.PAGES and kind == "websocket"
    assert (REFUSAL in scope) == is_refused
    assert not is_refused or scope[REFUSAL].close_code == 4004
