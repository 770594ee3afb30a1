"""A TCP proxy that cuts connections: the network of a client that must survive it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from types import TracebackType
from typing import Self

CHUNK = 2048


class CuttingProxy:
    """Forwards to a local port. Listens on `port`; `cut_count` connections have been cut so far.

    Each of `cuts` is how many more bytes from the server a client gets, over
    all connections, until its connection is reset in the middle of them.
    """

    def __init__(self, target_port: int, cuts: Iterable[int] = ()) -> None:
        self.target_port = target_port
        self.cut_count = 0
        self.is_refusing = False
        self._cuts = iter(cuts)
        self._left = next(self._cuts, None)
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._silent: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        tasks = list(self._open)
        self.cut()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def cut(self) -> None:
        """Resets every connection."""
        for client in list(self._open.values()):
            client.transport.abort()

    def silence(self) -> None:
        """Every connection of now stays open, but its client gets nothing any more."""
        self._silent.update(self._open.values())

    async def _accept(
        self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        if self.is_refusing:
            client.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = client
        server: asyncio.StreamWriter | None = None
        try:
            server_reader, server = await asyncio.open_connection("127.0.0.1", self.target_port)
            up = asyncio.create_task(self._forward(client_reader, server))
            down = asyncio.create_task(self._deliver(server_reader, client))
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            for direction in (up, down):
                direction.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
        except OSError:
            pass  # The server is not there: the client sees its connection reset.
        finally:
            del self._open[task]
            self._silent.discard(client)
            for end in (client, server):
                if end is not None:
                    end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()

    async def _deliver(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if writer in self._silent:
                continue
            if self._left is not None and self._left <= len(data):
                data, self._left = data[: self._left], next(self._cuts, None)
                self.cut_count += 1
                writer.write(data)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                return
            if self._left is not None:
                self._left -= len(data)
            writer.write(data)
            await writer.drain()
