"""Requests that never finish: half a head, a second head on a connection, a body in drops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tests.attacks.flooding import Connection, Flood, run

HALF = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
BODY = b"POST /api/v1/services HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
CONNECTIONS = 300
DROP_S = 0.2

KINDS = {
    "half a head": (HALF, b"X-A: b\r\n"),
    "half a second head": (HALF + b"\r\n" + HALF, b"X-A: b\r\n"),
    "a body": (BODY, b"x"),
    "a body that nobody wants": (b"GET /health HTTP/1.1" + BODY[26:], b"x"),
}


async def attack(flood: Flood, start: bytes, drop: bytes) -> None:
    async def send(connection: Connection) -> None:
        await connection.send(start)
        while flood.goes_on:
            await asyncio.sleep(DROP_S)
            await connection.send(drop)

    await flood.keep_up(CONNECTIONS, send)


ATTACKS: dict[str, Callable[[Flood], Awaitable[None]]] = {
    kind: partial(attack, start=start, drop=drop) for kind, (start, drop) in KINDS.items()
}

if __name__ == "__main__":
    run(ATTACKS)
