"""A socket's first moment: who may come in, and how the others are sent away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings

from agents.edge import Headers, headers_of, is_loopback, origin_is_allowed
from agents.sentences import choose
from agents.transients import Problem
from myagent.protocol import ErrorCode

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
RenderProblem = Callable[[Problem], str]
"""A dialect's frame that tells a problem."""


def language_of(scope: Scope, headers: Headers) -> str:
    """What the client is spoken to in: `?lang=`, else what its browser accepts."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    accepted = headers.get(b"accept-language", b"").decode("latin-1")
    return choose(*query.get("lang", ()), accept_language=accepted)


def page_may_connect(scope: Scope, headers: Headers) -> bool:
    """Whether the Origin of a handshake, if it has one, may come in."""
    server = scope.get("server") or ("", 0)
    return origin_is_allowed(
        _text(headers.get(b"origin")),
        _text(headers.get(b"host")) or "",
        settings.MYAGENT_ALLOWED_ORIGINS,
        is_open_on_loopback=is_loopback(str(server[0])),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    code: int,
    problem: ErrorCode,
    *,
    render: RenderProblem,
) -> None:
    """Accepts a socket and closes it with a reason: browsers see no other refusal."""
    lang = language_of(scope, headers_of(scope))
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": render(Problem(lang, problem))})
    await send({"type": "websocket.close", "code": code})
