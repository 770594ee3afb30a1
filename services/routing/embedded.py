"""A server of the site inside a program that manages services, so that these can be reached."""

from __future__ import annotations

import asyncio

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from agents.runtime.addresses import address_of
from agents.runtime.background import Background, failure_of
from agents.runtime.database import DatabaseThreads
from agents.runtime.listening import listen_meanwhile
from agents.serving import ServerProcess
from services.routing.endpoints import site_address
from services.routing.own_ports import Door, OwnPorts
from services.routing.serving import own_ports, site_server

logger = structlog.get_logger(__name__)

HOST = "localhost"

LOOK_S = 1.0
"""Seconds between two checks whether another server still lives."""


class EmbeddedServer:
    """Listens on loopback, on a free port, once no other server of the site is alive.

    Its methods belong to the event loop. Signals are left to the program.
    """

    def __init__(self) -> None:
        self._background = Background()
        self._present: _Serving | None = None

    async def start(self, database: DatabaseThreads) -> None:
        """Returns once services can be reached. Raises `django.db.Error` and `CannotListen`."""
        await self._serve_if_nobody_does(database)
        self._background.repeat(LOOK_S, lambda: self._serve_if_nobody_does(database))

    async def stop(self) -> None:
        """Disconnects clients; runs can be continued from the log. May be called twice."""
        await self._background.stop()
        present, self._present = self._present, None
        if present is not None:
            await present.stop()

    async def _serve_if_nobody_does(self, database: DatabaseThreads) -> None:
        if self._present is not None:
            if self._present.is_serving:
                return
            # Its lease would claim that a server is alive.
            await self._present.stop()
            self._present = None
        if await database.run(site_address) != "":
            return
        serving = _Serving()
        try:
            await serving.start()
        except BaseException:
            await serving.stop()
            raise
        self._present = serving


class _Serving:
    """The server, from its start to its end."""

    def __init__(self) -> None:
        self._leaving = asyncio.Event()
        self._server: ServerProcess | None = None
        self._ports: OwnPorts | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._server, directory = site_server()
        application = import_string(settings.MYAGENT_APPLICATION)(self._server)
        self._ports = own_ports(self._server, directory, application)
        listener = await listen_meanwhile(HOST, 0)
        lease = self._server.conversations.lease
        lease.port = listener.getsockname()[1]
        lease.address = address_of(HOST, lease.port)
        door = Door(application, self._server.connections.admission)
        serve = door.serve_until(self._leaving, listener, send_away=self._send_away)
        self._task = asyncio.get_running_loop().create_task(serve)
        self._task.add_done_callback(_log_failure)
        await self._server.start()

    @property
    def is_serving(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _send_away(self) -> None:
        assert self._server is not None
        await self._server.leave(0)

    async def stop(self) -> None:
        """May be called twice."""
        if self._server is None or self._ports is None:
            return
        self._leaving.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._ports.close()
        # Also if no clients were disconnected, because the server had failed.
        await self._server.leave(0)


def _log_failure(task: asyncio.Task[None]) -> None:
    if (error := failure_of(task)) is not None:
        logger.error("embedded_server_failed", exc_info=error)
