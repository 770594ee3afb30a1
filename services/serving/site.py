"""A server of the site in this process: sockets, pages, and the services' own ports."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from django.conf import settings
from django.utils.module_loading import import_string

from agents.runtime.server import MainServer, configuration
from services.routing.own_ports import OwnPorts
from services.routing.serving import own_ports, site_server


class SiteServer:
    """`serve` ends once `leave` was called. All methods belong to the event loop.

    `address`: where clients find it, as in `agents.runtime.addresses`.
    """

    def __init__(self, listener: socket.socket, address: str, *, is_debug: bool) -> None:
        self._listener = listener
        self._is_debug = is_debug
        self._server, self._directory = site_server()
        self._application = import_string(settings.MYAGENT_APPLICATION)(self._server)
        self._ports: OwnPorts | None = None
        self._web: MainServer | None = None
        lease = self._server.conversations.lease
        lease.port, lease.address = listener.getsockname()[1], address

    async def serve(
        self, *, ready: Callable[[], None], leave: Callable[[], Awaitable[None]]
    ) -> None:
        """Calls `leave` at the first signal, and cancels it at the second."""
        self._web = MainServer(
            configuration(
                self._application,
                is_debug=self._is_debug,
                admission=self._server.connections.admission,
            ),
            prepare=self._server.prepare,
            ready=ready,
            leave=leave,
        )
        try:
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
        web = self._web
        if self._ports is not None:
            await self._ports.close()
        await self._server.leave(
            grace_s, stop_listening=(lambda: None) if web is None else web.stop_listening
        )
