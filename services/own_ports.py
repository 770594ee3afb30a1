"""Services' own addresses, beside `/services/NAME/`: ports that `serve` listens on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog
import uvicorn
from django.core.management.base import CommandError

from agents import background
from agents.listening import listen
from agents.server import Server, configuration

logger = structlog.get_logger(__name__)

Address = tuple[str, int]
Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

OWN_DOOR = "myagent.service"
"""In the scope of what comes in by a service's own port: the service's name."""


class Door(Server):
    """A server beside the main one, or in somebody else's program: the signals are not its own."""

    def __init__(self, application: Application) -> None:
        super().__init__(
            configuration(application, is_debug=False), ready=lambda: None, leave=_nothing
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Not the streams of the site's pages, which the main server ends.
        await uvicorn.Server.shutdown(self, sockets)


async def _nothing() -> None:
    """Whoever has the signals sees to leaving."""


class OwnPorts:
    """Its methods belong to the event loop. A port stays open while workers come and go."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._open: dict[tuple[str, Address], _OpenPort] = {}
        self._refused: set[tuple[str, Address]] = set()

    def follow(self, wanted: dict[str, Address]) -> None:
        """Opens what is wanted and closes what is not any more."""
        keys = set(wanted.items())
        for key in self._open.keys() - keys:
            self._open.pop(key).close()
        self._refused &= keys
        for key in keys - self._open.keys() - self._refused:
            self._try_to_open(key)

    async def close(self) -> None:
        """Closes all of them. May be called twice."""
        ports, self._open = list(self._open.values()), {}
        for port in ports:
            port.close()
        await background.end([port.task for port in ports])

    def _try_to_open(self, key: tuple[str, Address]) -> None:
        service, (host, port) = key
        try:
            listener = listen(host, port)
        except CommandError as error:
            # Said once, not at every change of any service.
            self._refused.add(key)
            logger.error("own_port_not_opened", service=service, error=str(error))
            return
        self._open[key] = _OpenPort(service, listener, self._application)
        logger.info("own_port_opened", service=service, host=host, port=port)


class _OpenPort:
    def __init__(self, service: str, listener: socket.socket, application: Application) -> None:
        async def door(scope: dict[str, Any], receive: Any, send: Any) -> None:
            await application({**scope, OWN_DOOR: service}, receive, send)

        self._listener = listener
        self._server = Door(door)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        with contextlib.closing(self._listener):
            await self._server.serve(sockets=[self._listener])

    def close(self) -> None:
        self._server.should_exit = True
