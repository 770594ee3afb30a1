"""Requests whose heads never end: headers, one header, its name, an address, trailers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from tests.attacks.flooding import Connection, Flood, run

START = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /api/v1/services HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
MUCH = 256 * 1024

KINDS = {
    "many headers": (START, b"X-Header: value\r\n" * 16_000),
    "one header": (START + b"X-Header: ", b"x" * MUCH),
    "one name": (START, b"x" * MUCH),
    "blanks before a value": (START + b"X-Header:", b" " * MUCH),
    "an address": (b"GET /", b"x" * MUCH),
    "a query": (b"GET /?", b"x" * MUCH),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Header: value\r\n" * 16_000),
    "one trailer": (CHUNKED + b"1\r\nx\r\n0\r\nX-Header: ", b"x" * MUCH),
    "a chunk's extension": (CHUNKED + b"1;", b"x" * MUCH),
    "requests in a row": (b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 6_000),
    "blank lines": (b"", b"\r\n" * MUCH),
}


async def attack(flood: Flood, start: bytes, more: bytes) -> None:
    async def send(connection: Connection) -> None:
        await connection.send(start)
        await connection.send_on(more)

    await flood.keep_up(4, send)


ATTACKS: dict[str, Callable[[Flood], Awaitable[None]]] = {
    kind: partial(attack, start=start, more=more) for kind, (start, more) in KINDS.items()
}

if __name__ == "__main__":
    run(ATTACKS)
