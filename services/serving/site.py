"""A server of the site in this process: sockets, pages, and the services' own ports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from agents.runtime.background import failure_of
from agents.runtime.server import MainServer, configuration
from services.routing.own_ports import Door, OwnPorts
from services.routing.serving import own_ports, site_server
from services.routing.sides import Side, one_sided

logger = structlog.get_logger(__name__)


class SiteServer:
    """`serve` ends once `leave` was called. All methods belong to the event loop.

    `address`: where clients find its sockets, as in `agents.runtime.addresses`; empty if it has
    none. `side`: the one that it has, where it does not have both.
    """

    def __init__(
        self, listener: socket.socket, address: str, *, is_debug: bool, side: Side | None = None
    ) -> None:
        self._listener = listener
        self._side = side
        self._is_debug = is_debug
        self._server, self._directory = site_server()
        self._application = import_string(settings.MYAGENT_APPLICATION)(self._server)
        self._ports: OwnPorts | None = None
        self._web: MainServer | None = None
        self._besides: list[tuple[Door, socket.socket]] = []
        self._doors: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()
        lease = self._server.conversations.lease
        lease.port, lease.address = listener.getsockname()[1], address

    async def serve(
        self, *, ready: Callable[[], None], leave: Callable[[], Awaitable[None]]
    ) -> None:
        """Calls `leave` at the first signal, and cancels it at the second."""
        self._web = MainServer(
            configuration(
                self._with_side(self._side),
                is_debug=self._is_debug,
                admission=self._server.connections.admission,
            ),
            prepare=self._server.prepare,
            ready=ready,
            leave=leave,
        )
        try:
            self._open_doors()
            await self._web.serve(sockets=[self._listener])
        finally:
            await self.leave(0)

    @property
    def is_leaving(self) -> bool:
        return self._web is not None and self._web.is_leaving

    def begin_to_leave(self) -> None:
        """As a signal does."""
        if self._web is not None:
            self._web.begin_to_leave()

    def stop_listening(self) -> None:
        """Takes no new connection; others may listen at the same ports. May be called twice."""
        if self._web is not None:
            self._web.stop_listening()
        for door, _ in self._besides:
            door.stop_listening()

    def listens_besides(self, listener: socket.socket, side: Side) -> None:
        """It has this side at another port, too. To be called before `serve`."""
        door = Door(self._with_side(side), self._server.connections.admission)
        self._besides.append((door, listener))

    def open_own_ports(self) -> None:
        """From now on. May be called twice."""
        if self._ports is None:
            self._ports = own_ports(self._server, self._directory, self._application)
            self._ports.follow(self._directory.own_ports)

    def announce(self) -> None:
        """Accepts no new work, and tells the clients that it is about to stop."""
        self._server.announce()

    async def leave(self, grace_s: float) -> None:
        """Ends, as `ServerProcess.leave` says."""
        if self._ports is not None:
            await self._ports.close()
        await self._server.leave(grace_s, stop_listening=self.stop_listening)
        self._closing.set()
        if self._doors:
            await asyncio.wait(self._doors)

    def _open_doors(self) -> None:
        for door, listener in self._besides:
            serving = door.serve_until(self._closing, listener, send_away=_nobody)
            self._doors.append(asyncio.get_running_loop().create_task(serving))
            self._doors[-1].add_done_callback(self._heed_failure)

    def _heed_failure(self, door: asyncio.Task[None]) -> None:
        if (error := failure_of(door)) is not None:
            logger.error("port_failed", exc_info=error)
            if not self.is_leaving:
                self.begin_to_leave()

    def _with_side(self, side: Side | None) -> Any:
        return self._application if side is None else one_sided(self._application, side)


async def _nobody() -> None:
    """Does nothing: the server has disconnected its clients before."""
