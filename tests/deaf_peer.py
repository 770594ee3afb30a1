"""A WebSocket server that takes sockets and then hears nothing, not even that they close."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.utils import accept_key

ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {}\r\n\r\n"
)


class DeafPeer:
    """`is_left` is set once a client has cut its connection, however it did that."""

    def __init__(self) -> None:
        self.port = 0
        self.is_left = asyncio.Event()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            key = re.search(r"(?im)^sec-websocket-key: (\S+)", head)
            assert key is not None
            writer.write(ANSWER.format(accept_key(key[1])).encode())
            await reader.read()
        except OSError:
            pass  # It was cut off.
        finally:
            writer.transport.abort()
            self.is_left.set()


@asynccontextmanager
async def deaf_peer() -> AsyncIterator[DeafPeer]:
    peer = DeafPeer()
    async with await asyncio.start_server(peer.accept, "127.0.0.1", 0) as server:
        peer.port = server.sockets[0].getsockname()[1]
        yield peer
