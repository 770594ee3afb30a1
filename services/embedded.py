"""A server of the site inside a program that manages services: where these are reached."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from django.conf import settings
from django.utils.module_loading import import_string

from agents import background
from agents.addresses import address_of
from agents.database import DatabaseThreads
from agents.listening import listen
from agents.serving import ServerProcess, use_server
from services.endpoints import site_address
from services.own_ports import Door, OwnPorts
from services.serving import site_server

HOST = "localhost"


class EmbeddedServer:
    """On loopback, at a free port, unless a server of the site lives already.

    Its methods belong to the event loop. The signals are the program's.
    """

    def __init__(self) -> None:
        self._server: ServerProcess | None = None
        self._ports: OwnPorts | None = None
        self._door: Door | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, database: DatabaseThreads) -> None:
        """Returns once services can be reached. Raises `django.db.Error` and `CommandError`."""
        if await database.run(site_address):
            return
        listener = listen(HOST, 0)
        self._server, directory = site_server()
        use_server(self._server)
        lease = self._server.hub.lease
        lease.port = listener.getsockname()[1]
        lease.address = address_of(HOST, lease.port)
        application = import_string(settings.ASGI_APPLICATION)
        ports = self._ports = OwnPorts(application)
        directory.on_change = lambda: ports.follow(directory.own_ports)
        await self._server.start()
        self._door = Door(application)
        self._serving = asyncio.get_running_loop().create_task(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        assert self._door is not None
        with contextlib.closing(listener):
            await self._door.serve(sockets=[listener])

    async def stop(self) -> None:
        """Sends clients away; runs are left to the log. May be called twice."""
        server, self._server = self._server, None
        if server is None:
            return
        await server.leave(0)
        if self._ports is not None:
            await self._ports.close()
        if self._door is not None and self._serving is not None:
            self._door.should_exit = True
            await background.end([self._serving])
        use_server(None)
