"""The server of this process: its conversations, its sockets, and the source of its workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFailure
from django.http import HttpRequest

from agents.directory import Listed, SingleService
from agents.ownership import servers
from agents.ownership.servers import NameTaken
from agents.ports import SessionPort
from agents.runs.child import NotStarted
from agents.runs.standalone import StandaloneWorker
from agents.runtime import background, schema
from agents.runtime.database import DatabaseThreads
from agents.runtime.explaining import explain
from agents.runtime.once import Once
from agents.sessions.conversations import Conversations
from agents.sessions.elsewhere import Elsewhere
from agents.sockets.connections import Connections
from agents.sockets.handshake import SERVER, Refusal, Scope
from agents.sockets.presence import Presence
from myagent.protocol import CloseCode

logger = structlog.get_logger(__name__)

SITE = "MyAgent Site"
"""The name of a server of many services."""


class HasLeft(Exception):
    """The server has stopped."""


class Feeder(Protocol):
    """Supplies a server's pools with workers."""

    def launch(self) -> None:
        """Starts what needs neither a database nor an event loop. May be called twice."""

    async def start(self) -> None:
        """Raises `NotStarted` and `django.db.Error`; only after that it may be called again."""

    async def cease(self) -> None:
        """Adds no more workers; existing ones stay. May be called twice."""

    async def stop(self) -> None:
        """Ends the workers that it owns. Called after `cease`. May be called twice."""


class ServerProcess:
    """`start` before the first socket, `leave` at the end.

    `service` and `source`: of a server with one agent file, its name and the
    file's path.
    """

    def __init__(
        self, conversations: Conversations, feeder: Feeder, *, service: str = "", source: str = ""
    ) -> None:
        self.conversations = conversations
        self.service = service
        self.source = source
        self.connections = Connections(service or SITE)
        self.conversations.connection_count = self.connections.__len__
        self.conversations.forwarded = self.connections.forwarded
        self._presence = Presence(
            self.connections, conversations.database, lambda: conversations.lease.server_id
        )
        self.started_at = time.time()
        self._feeder = feeder
        self._is_fed = False
        self._is_announced = False
        self._is_present = False
        self._start: asyncio.Task[None] | None = None
        self._has_left = False
        self._end = Once(self._send_everybody_away)

    async def start(self) -> None:
        """Starts the server once, however often it is called.

        Raises `django.db.Error`, `NameTaken`, `NotStarted` and `ImproperlyConfigured`, after which
        the next call tries again, and `HasLeft` once the server shuts down. Cancelling is safe: the
        start goes on, because others may wait for it.
        """
        if self._has_left:
            raise HasLeft
        if self._start is None or (self._start.done() and self._start.exception()):
            self._start = asyncio.get_running_loop().create_task(self._open())
        await asyncio.wait([self._start])
        if self._has_left:
            raise HasLeft
        self._start.result()

    async def prepare(self) -> None:
        """Starts, or returns when it leaves before that is done. Raises as `start` does."""
        with suppress(HasLeft):
            await self.start()

    async def _open(self) -> None:
        # The agent file is loaded while the database is prepared.
        self._feeder.launch()
        await self.conversations.database.run(schema.apply_pending, settings.VAR_DIR)
        if self.service:
            refuse_another = servers.refuse_another_file
            await self.conversations.database.run(refuse_another, self.service, self.source)
        if not self._is_fed:
            await self._feeder.start()
            self._is_fed = True
        await self.conversations.start()
        if not self._is_present:
            self._is_present = True
            self.conversations.background.repeat(0, self._presence.look_again, is_due=True)

    @property
    def database(self) -> DatabaseThreads:
        return self.conversations.database

    @property
    def port(self) -> SessionPort:
        return self.conversations.port

    @property
    def elsewhere(self) -> Elsewhere:
        return self.conversations.elsewhere

    async def admit(self, service: str | None) -> Refusal | None:
        """None if it serves, else why not. `service`: the addressed service; None for any."""
        try:
            await self.start()
        except HasLeft:
            return Refusal(CloseCode.GOING_AWAY, "service_unavailable")
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            return Refusal(CloseCode.NO_SERVICE_AVAILABLE, "storage_unavailable", "storage_away")
        except NameTaken as error:
            logger.error("name_taken", service=self.service, source=error.source)
            return Refusal(CloseCode.NO_SERVICE_AVAILABLE, "service_unavailable")
        except (NotStarted, ImproperlyConfigured) as error:
            logger.error("agent_not_loaded", service=self.service, error=str(error))
            return Refusal(CloseCode.NO_SERVICE_AVAILABLE, "service_unavailable")
        if service is not None and not await self.conversations.port.knows(service):
            return Refusal(CloseCode.NO_SUCH_SERVICE, "no_service")
        return None

    def external(self, service: str | None) -> Listed | None:
        """The external service of that name; None if there is none."""
        found = None if service is None else self.conversations.directory.find(service)
        return found if found is not None and found.url else None

    def announce(self) -> None:
        """Accepts no new work, and tells the clients once that it is about to stop."""
        self.conversations.is_draining = True
        if not self._is_announced:
            self._is_announced = True
            self.connections.announce_drain()

    async def leave(
        self, grace_s: float, *, stop_listening: Callable[[], None] = lambda: None
    ) -> None:
        """Lets runs finish within the grace period, disconnects the clients, releases the sessions.

        `stop_listening` is called before the clients are disconnected, so that they reconnect to
        the next process and not to this one. May be called twice, and during the start. Cancelling
        ends the grace period; the rest goes on, and the next call waits for it.
        """
        self.announce()
        try:
            await self.conversations.drain(grace_s)
        finally:
            self._has_left = True
            stop_listening()
            await self._end()

    async def _send_everybody_away(self) -> None:
        if self._start is not None:
            await background.end([self._start])
        await self.connections.close()
        # Otherwise it would replace the workers that the conversations are about to disconnect
        # from.
        await self._feeder.cease()
        await self._presence.stop()
        await self.conversations.stop()
        await self._feeder.stop()

    def health(self) -> dict[str, Any]:
        """What `/health` reports about the server. `able`: whether it can do its work now."""
        pools = list(self.conversations.workers)
        silent_for_s = max((pool.silent_for_s for pool in pools), default=0.0)
        unhealthy = {pool.service for pool in pools if pool.silent_for_s}
        unhealthy.update(self.conversations.directory.unhealthy())
        is_served = not self.service or self.conversations.workers.of(self.service).has_worker
        # One unhealthy service of many does not affect the others.
        is_able = (
            is_served
            and self.conversations.storage_is_available
            and not (self.service and unhealthy)
        )
        return {
            "status": "healthy" if is_able and not unhealthy else "degraded",
            "able": is_able,
            **self._of_site_or_service(),
            "unhealthy_services": sorted(unhealthy),
            "active_connections": len(self.connections),
            "active_sessions": self.conversations.session_count,
            "running": self.conversations.running_count,
            "storage_available": self.conversations.storage_is_available,
            "agent_stuck_for_s": round(silent_for_s, 1),
            "abandoned_tools": sum(link.report.abandoned for pool in pools for link in pool),
            "draining": self.conversations.is_draining,
        }

    def _of_site_or_service(self) -> dict[str, Any]:
        if self.service:
            return {"service": self.service}
        return {"supervised": self.conversations.directory.is_supervised()}


def standalone(worker: StandaloneWorker) -> ServerProcess:
    """A server of one agent file, whose worker is its child process."""
    service, source = worker.service, worker.source
    conversations = Conversations(
        SingleService(service), worker.workers, service=service, source=source
    )
    return ServerProcess(conversations, worker, service=service, source=source)


def server_of(request: HttpRequest) -> ServerProcess | None:
    """The server that a request came to; None outside of one, as in tests of a page."""
    scope: Scope = getattr(request, "scope", {})
    return scope.get(SERVER)
