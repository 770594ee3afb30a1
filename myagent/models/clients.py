"""Clients of a model's server: one for each event loop that asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myagent.models.transport import ModelClient


class LoopClients:
    """Keeps a client, and with it a connection pool, a loop.

    A client is closed by `aclose`, or when its loop shuts its asynchronous
    generators down, which `asyncio.run` and `asyncio.Runner` do.
    """

    def __init__(self, open_client: Callable[[], ModelClient]) -> None:
        self._open_client = open_client
        self._open: dict[asyncio.AbstractEventLoop, AsyncGenerator[ModelClient, None]] = {}
        self._clients: dict[asyncio.AbstractEventLoop, ModelClient] = {}

    async def get(self) -> ModelClient:
        """The running loop's client."""
        loop = asyncio.get_running_loop()
        if (client := self._clients.get(loop)) is not None:
            return client
        self._forget_closed_loops()
        # A generator, because a loop that ends closes the generators begun in it.
        lifetime = self._lifetime(loop)
        self._open[loop] = lifetime
        return await anext(lifetime)

    async def aclose(self) -> None:
        """Closes the running loop's client, if it has one. May be called twice."""
        lifetime = self._open.get(asyncio.get_running_loop())
        if lifetime is not None:
            await lifetime.aclose()

    async def _lifetime(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[ModelClient, None]:
        client = self._clients[loop] = self._open_client()
        try:
            yield client
        finally:
            self._clients.pop(loop, None)
            self._open.pop(loop, None)
            await client.close()

    def _forget_closed_loops(self) -> None:
        for loop in [each for each in self._open if each.is_closed()]:
            self._clients.pop(loop, None)
            self._open.pop(loop, None)
