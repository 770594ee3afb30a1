"""The runner of this process: one agent file, its hub, its sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents import background, ownership, schema
from agents.connections import Connections
from agents.handshake import Receive, Scope, Send, refuse
from agents.hub import Hub
from agents.once import Once
from agents.ownership import NameTaken
from agents.sockets import SocketConsumer
from agents.standalone import FileRefused, StandaloneWorker, WorkerDied
from agents.workers import Workers
from myagent.protocol import CloseCode

logger = structlog.get_logger(__name__)


class HasLeft(Exception):
    """The runner serves no more."""


class RunnerProcess:
    """`start` before the first socket, `leave` at the end."""

    def __init__(
        self, file: Path | str, service: str, *, python: str = "", is_debug: bool = False
    ) -> None:
        self.service = service
        self.workers = Workers()
        self.pool = self.workers.of(service)
        self.worker = StandaloneWorker(file, self.pool, python=python, is_debug=is_debug)
        self.hub = Hub(file, service, self.workers)
        self.connections = Connections(service)
        self.hub.connection_count = self.connections.__len__
        self.started_at = time.time()
        self.is_supervised = False
        """Somebody else started it, applied the migrations, and may ask it to leave twice."""
        self._start: asyncio.Task[None] | None = None
        self._has_left = False
        self._end = Once(self._send_everybody_away)

    async def start(self) -> None:
        """Starts once, however often it is called.

        Raises `django.db.Error`, `NameTaken`, `FileRefused` and `WorkerDied`,
        and `HasLeft` once it leaves. Cancelling is safe: others may wait for
        the same start, which goes on.
        """
        if self._has_left:
            raise HasLeft
        if self._start is None or (self._start.done() and self._start.exception()):
            self._start = asyncio.get_running_loop().create_task(self._open())
        await asyncio.wait([self._start])
        if self._has_left:
            raise HasLeft
        self._start.result()

    async def _open(self) -> None:
        # It loads the agent file while the database is made ready.
        self.worker.launch()
        if not self.is_supervised:
            await self.hub.database.run(schema.apply_pending, settings.VAR_DIR)
            refuse = ownership.refuse_another_file
            await self.hub.database.run(refuse, self.service, self.hub.source)
        await self.worker.start()
        await self.hub.start()

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, dialect: type[SocketConsumer]
    ) -> None:
        """One socket."""
        turn_away = partial(refuse, scope, receive, send, last_word=dialect.last_word)
        try:
            await self.start()
        except HasLeft:
            await turn_away(CloseCode.GOING_AWAY, "service_unavailable")
            return
        except DatabaseFailure as error:
            logger.warning("storage_away", error=str(error))
            await turn_away(CloseCode.NO_SERVICE_AVAILABLE, "storage_unavailable")
            return
        except NameTaken as error:
            logger.error("name_taken", service=self.service, source=error.source)
            await turn_away(CloseCode.NO_SERVICE_AVAILABLE, "service_unavailable")
            return
        except (FileRefused, WorkerDied) as error:
            logger.error("agent_not_loaded", service=self.service, error=str(error))
            await turn_away(CloseCode.NO_SERVICE_AVAILABLE, "service_unavailable")
            return
        await dialect(scope, receive, send, self.hub, self.connections).run()

    async def leave(
        self, grace_s: float, *, stop_listening: Callable[[], None] = lambda: None
    ) -> None:
        """Lets runs finish within the grace, sends clients away and gives the sessions up.

        `stop_listening` is called before they are sent away, so that they come
        back to the next process and not to this one. May be called twice, and
        while it starts. Cancelling shortens the grace to nothing; the rest goes
        on all the same, and the next call waits for it.
        """
        self.hub.is_draining = True
        self.connections.announce_drain()
        try:
            await self.hub.drain(grace_s)
        finally:
            self._has_left = True
            stop_listening()
            await self._end()

    async def _send_everybody_away(self) -> None:
        if self._start is not None:
            await background.end([self._start])
        await self.connections.close()
        await self.hub.stop()
        await self.worker.stop()

    def health(self) -> dict[str, Any]:
        """What `/health` says of the runner."""
        silent_for_s = self.pool.silent_for_s
        has_worker = self.pool.has_worker
        is_well = has_worker and not silent_for_s and self.hub.journal.is_available
        return {
            "status": "healthy" if is_well else "degraded",
            "service": self.service,
            "active_connections": len(self.connections),
            "active_sessions": self.hub.session_count,
            "running": self.hub.running_count,
            "storage_available": self.hub.journal.is_available,
            "has_worker": has_worker,
            "agent_stuck_for_s": round(silent_for_s, 1),
            "abandoned_tools": sum(link.report.abandoned for link in self.pool),
            "draining": self.hub.is_draining,
        }


_current: RunnerProcess | None = None


def use_runner(runner: RunnerProcess | None) -> None:
    """Makes a runner the one of this process."""
    global _current
    _current = runner


def current_runner() -> RunnerProcess | None:
    """The runner of this process."""
    return _current
