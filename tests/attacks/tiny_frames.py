"""Frames that are cheap for their sender: control frames, fragments, and too many texts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from tests.attacks.flooding import Connection, Flood, run

MASK = b"\x00\x00\x00\x00"
CONTINUATION, TEXT, PING, PONG, END = 0x00, 0x01, 0x09, 0x0A, 0x80
MANY = 40_000
SOCKETS = 20


def frame(head: int, data: bytes = b"") -> bytes:
    return bytes((head, 0x80 | len(data))) + MASK + data


KINDS = {
    "pongs": (b"", frame(END | PONG)),
    "pings": (b"", frame(END | PING)),
    "long pings": (b"", frame(END | PING, b"x" * 125)),
    "empty continuations": (frame(TEXT), frame(CONTINUATION)),
    "single characters": (frame(TEXT), frame(CONTINUATION, b"x")),
    "texts": (b"", frame(END | TEXT, b"{}")),
    "empty texts": (b"", frame(END | TEXT)),
    "messages": (
        b"",
        frame(END | TEXT, b'{"event": "user.detach", "session_id": "%s"}' % (b"x" * 36)),
    ),
}


async def attack(flood: Flood, start: bytes, again: bytes) -> None:
    many = again * min(MANY, 256 * 1024 // len(again))

    async def send(connection: Connection) -> None:
        await connection.upgrade()
        await connection.send(start)
        # It goes on after the server has said that it was too much, and reads nothing.
        await connection.send_on(many)

    await flood.keep_up(SOCKETS, send)


ATTACKS: dict[str, Callable[[Flood], Awaitable[None]]] = {
    kind: partial(attack, start=start, again=again) for kind, (start, again) in KINDS.items()
}

if __name__ == "__main__":
    run(ATTACKS)
