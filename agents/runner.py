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
from agents.agent_loop import AgentLoop
from agents.connections import Connections
from agents.handshake import Receive, Scope, Send, refuse
from agents.hub import Hub
from agents.once import Once
from agents.ownership import NameTaken
from agents.sockets import SocketConsumer
from myagent.loading import AgentFile, load_agent_file
from myagent.protocol import CloseCode
from myagent.tool.running import abandoned_tasks, abandoned_threads

logger = structlog.get_logger(__name__)


class HasLeft(Exception):
    """The runner serves no more."""


class RunnerProcess:
    """Put together by `open_runner`; `start` before the first socket, `leave` at the end."""

    def __init__(self, agent_file: AgentFile, service: str, agents: AgentLoop) -> None:
        self.agent_file = agent_file
        self.service = service
        self.agents = agents
        self.hub = Hub(agent_file, service, agents)
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

        Raises `django.db.Error`, `NameTaken`, and `HasLeft` once it leaves.
        Cancelling is safe: others may wait for the same start, which goes on.
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
        if not self.is_supervised:
            await self.hub.database.run(schema.apply_pending, settings.VAR_DIR)
            refuse = ownership.refuse_another_file
            await self.hub.database.run(refuse, self.service, self.hub.source)
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
        if not self.agents.stop():
            logger.warning("agent_code_left_running")

    def health(self) -> dict[str, Any]:
        """What `/health` says of the runner."""
        stuck_for_s = self.agents.stuck_for_s
        is_well = not stuck_for_s and self.hub.journal.is_available
        return {
            "status": "healthy" if is_well else "degraded",
            "service": self.service,
            "active_connections": len(self.connections),
            "active_sessions": self.hub.session_count,
            "running": self.hub.running_count,
            "storage_available": self.hub.journal.is_available,
            "agent_stuck_for_s": round(stuck_for_s, 1),
            "abandoned_tools": abandoned_threads() + abandoned_tasks(),
            "draining": self.hub.is_draining,
        }


def open_runner(path: Path | str, *, name: str | None = None) -> RunnerProcess:
    """Loads an agent file. Raises `myagent.loading.AgentFileError`."""
    agent_file = load_agent_file(path)
    agent_file.prepare()
    agents = AgentLoop()
    agents.start()
    return RunnerProcess(agent_file, name or agent_file.name, agents)


_current: RunnerProcess | None = None


def use_runner(runner: RunnerProcess | None) -> None:
    """Makes a runner the one of this process."""
    global _current
    _current = runner


def current_runner() -> RunnerProcess | None:
    """The runner of this process."""
    return _current
