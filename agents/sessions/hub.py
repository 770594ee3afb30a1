"""What sockets may ask of the sessions alive in this process, and the life of these."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import orjson
import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.directory import Directory, Listed
from agents.log import entries, reading, turns
from agents.log.entries import Entry
from agents.log.turns import Place
from agents.log.writes import NewSession
from agents.ownership import taking as ownership
from agents.ownership.lease import Lease
from agents.ownership.taking import Taken
from agents.ports import Refused, SessionEvent, Socket
from agents.principals import key_of
from agents.runs.workers import Workers
from agents.runtime.ids import new_id
from agents.runtime.once import Once
from agents.sentences import supported
from agents.sessions.gauges import LoopLag
from agents.sessions.holding import Sessions
from agents.sessions.live import LiveSession
from agents.sessions.resources import Resources
from agents.sessions.standing import Standings
from agents.sessions.subscription import Subscription
from agents.transients import ReplayComplete, Resumed
from myagent.protocol import (
    Cancel,
    CloseSession,
    CreateSession,
    Response,
    UserMessage,
)
from myagent.worker.protocol import AgentInfo

T = TypeVar("T")

logger = structlog.get_logger(__name__)

MOST_NAMED = 20
"""Services that a client is told of which named none."""

FORGET_SERVERS_AFTER = timedelta(days=1)


class Hub:
    """Keeps live sessions of the services in `directory`; a `SessionPort`.

    `start` registers the server and begins to adopt what dead ones left;
    `drain` lets runs finish; `stop` gives everything up. Both may be called
    twice. `service` and `source`: of a server with one agent file.
    """

    def __init__(
        self, directory: Directory, workers: Workers, *, service: str = "", source: str = ""
    ) -> None:
        self.directory = directory
        self.workers = workers
        self.resources = Resources(directory, workers)
        self.journal = self.resources.journal
        self.database = self.resources.database
        self.background = self.resources.background
        self.lease = Lease(
            service,
            source,
            report=self.report,
            journal_moved_at=lambda: self.journal.moved_at,
        )
        self._sessions = Sessions(self.resources, self.lease)
        self._standings = Standings(self.database)
        self._lag = LoopLag()
        self.connection_count: Callable[[], int] = lambda: 0
        self.says_besides: Callable[[], dict[str, Any]] = dict
        """What else the server's report has to say."""
        self._end = Once(self._give_everything_up)

    # Life.

    async def start(self) -> None:
        """Raises `django.db.Error` if the database is away; then it may be called again.

        What is stopped, or was meanwhile, does not start.
        """
        if self._end.has_begun:
            return
        self.journal.start()
        await self.lease.register()
        if self._end.has_begun:
            return
        self.background.repeat(0, self._begin_anew_when_lost)
        # Nobody waits for it: whose session's turn has not come yet takes it over by coming back.
        self.background.repeat(settings.MYAGENT_ADOPT_S, self._adopt, is_due=True)
        self.background.repeat(0, self._lag.watch)
        self.background.repeat(min(30.0, settings.MYAGENT_SESSION_TIMEOUT_S / 2), self._sweep)

    async def drain(self, grace_s: float) -> None:
        """Takes no new work and waits for the current runs, except those that wait for people."""
        self.is_draining = True
        try:
            async with asyncio.timeout(grace_s):
                while any(session.status == "running" for session in self._sessions):
                    self.resources.progress.clear()
                    await self.resources.progress.wait()
        except TimeoutError:
            logger.warning("runs_left_to_be_continued")

    async def stop(self) -> None:
        """Gives the sessions up; unfinished runs are continued from the log by whoever is next.

        May be called while it starts. Cancelling is safe: it goes on, and the
        next call waits for it. A database that hangs does not hold it up.
        """
        await self._end()

    async def _give_everything_up(self) -> None:
        self.is_draining = True
        await self.background.stop()
        await self._standings.end()
        await self._sessions.leave()
        self.workers.close()
        await self.journal.stop()
        await self.lease.end()
        await self.database.stop()

    @property
    def is_draining(self) -> bool:
        """Whether no new work is taken."""
        return self.resources.is_draining

    @is_draining.setter
    def is_draining(self, is_draining: bool) -> None:
        self.resources.is_draining = is_draining

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    @property
    def running_count(self) -> int:
        return sum(session.current is not None for session in self._sessions)

    def agent_of(self, service: str) -> AgentInfo:
        """What the service's agent says of itself; little before a worker was there."""
        return self.workers.of(service).agent or AgentInfo(service)

    def end_runs(self, service: str) -> None:
        """Ends the service's runs that are carried here, as interrupted."""
        for session in self._sessions.of(service):
            session.end_runs()

    # The port.

    async def create(self, socket: Socket, event: CreateSession) -> None:
        if self.is_draining:
            raise Refused("service_unavailable")
        listed = await self._service_for(socket, event.metadata.service)
        if not self.journal.is_available:
            raise Refused("storage_unavailable")
        if not self.may_wait(listed.name) or self._sessions.is_full(listed):
            raise Refused("service_unavailable")
        self._check_room(socket)
        lang = supported(event.metadata.lang) or socket.lang
        taken = Taken(
            new_id(),
            listed.name,
            epoch=1,
            lang=lang,
            principal=key_of(socket.principal),
            last_seq=0,
            is_closed=False,
        )
        empty = reading.Opened.empty(settings.MYAGENT_CONTEXT_TOKENS)
        session = self._sessions.keep(taken, empty)
        self._attach(socket, session)
        session.begin(socket, *self._beginning(socket, session, event))

    def _beginning(
        self, socket: Socket, session: LiveSession, event: CreateSession
    ) -> tuple[NewSession, Entry]:
        new = NewSession(
            service=session.service,
            lang=session.lang,
            owner_id=self.lease.server_id,
            tags=orjson.dumps(event.metadata.tags).decode(),
            client=orjson.dumps(event.metadata.client).decode(),
            principal=session.principal,
        )
        agent = self.agent_of(session.service).name
        entry = entries.session_created(session.lang, agent, session.service, socket.connection_id)
        return new, entry

    async def attach(self, socket: Socket, session_id: str, last_seq: int) -> None:
        session = await self._find(socket, session_id)
        asked = self._standings.find(session_id, last_seq, session.last_seq)
        standing = await self._reading(asked)
        # It may have left memory during the read.
        session = await self._find(socket, session_id)
        if session_id not in socket.attached:
            # After the last wait: several may be on their way to the socket at once.
            self._check_room(socket)
        seq = standing.start(session.last_seq)
        socket.tell(
            Resumed(
                session.lang,
                session_id,
                last_seq=max(session.last_seq, seq),
                status=session.status,
                replaying=max(0, session.last_seq - seq),
                is_resync=standing.is_lost(session.last_seq),
            )
        )
        subscription = self._attach(socket, session, seq)

        def announce() -> None:
            socket.tell(ReplayComplete(session_id, subscription.seq))

        subscription.replay(standing.first, announce=announce)

    async def place_after(self, session_id: str, seq: int | None) -> Place:
        return await self._reading(self.database.run(turns.place_after, session_id, seq))

    async def send(self, socket: Socket, event: SessionEvent) -> None:
        session = await self._find(socket, event.session_id)
        if event.session_id not in socket.attached:
            self._check_room(socket)
            self._attach(socket, session)
        try:
            await self._hand_over(session, socket, event)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=str(error))
            message_id = event.metadata.message_id if isinstance(event, UserMessage) else None
            raise Refused("storage_unavailable", message_id=message_id) from error

    async def _hand_over(self, session: LiveSession, socket: Socket, event: SessionEvent) -> None:
        match event:
            case UserMessage():
                await session.accept(socket, event)
            case Cancel():
                session.cancel(socket, event)
            case Response():
                await session.respond(socket, event)
            case CloseSession():
                session.close("closed")

    def detach(self, socket: Socket, session_id: str | None = None) -> None:
        leaving = list(socket.attached) if session_id is None else [session_id]
        for id_ in leaving:
            session = socket.attached.pop(id_, None)
            if session is not None:
                session.unsubscribe(socket)

    def may_wait(self, service: str) -> bool:
        return self.resources.may_wait(service)

    async def knows(self, service: str) -> bool:
        """Whether there is such a service, perhaps for a moment only."""
        if self.directory.find(service) is None:
            await self._refresh()
        return self.directory.find(service) is not None

    # Inside.

    async def _service_for(self, socket: Socket, wanted: str | None) -> Listed:
        """The service of a new session. Raises `Refused`."""
        if socket.service is not None and wanted not in (None, socket.service):
            raise Refused("no_service")
        named = wanted or socket.service
        listed = self._listed(named)
        if listed is None or not self.may_wait(listed.name):
            # It may have been registered or started this very moment.
            await self._refresh()
            listed = self._listed(named)
        if listed is None:
            raise self._no_service(named)
        return listed

    def _no_service(self, named: str | None) -> Refused:
        """Who names none where several could be meant is told which there are."""
        found = sorted(name for name in self.directory.names() if self.directory.find(name))
        if named is not None or not found:
            return Refused("no_service")
        shown = [*found[:MOST_NAMED], *(["…"] if len(found) > MOST_NAMED else [])]
        return Refused("no_service", sentence="name_a_service", detail=", ".join(shown))

    def _listed(self, named: str | None) -> Listed | None:
        name = named or self.directory.default()
        return None if name is None else self.directory.find(name)

    async def _refresh(self) -> None:
        try:
            await self.directory.refresh()
        except DatabaseFailure as error:
            # What was known before holds.
            logger.warning("storage_away", error=str(error))

    async def _find(self, socket: Socket, session_id: str) -> LiveSession:
        """The session, if it is the client's and of the service whose door it came through."""
        session = await self._sessions.find(session_id, socket.principal)
        if socket.service not in (None, session.service):
            raise Refused("unknown_session")
        return session

    def _attach(self, socket: Socket, session: LiveSession, seq: int | None = None) -> Subscription:
        socket.attached[session.session_id] = session
        return session.subscribe(socket, seq)

    def _check_room(self, socket: Socket) -> None:
        limit = settings.MYAGENT_SESSIONS_PER_CONNECTION
        if limit and len(socket.attached) >= limit:
            raise Refused("too_many_sessions")

    async def _reading(self, asked: Awaitable[T]) -> T:
        """What is read from the database. Raises `Refused`."""
        try:
            return await asked
        except DatabaseFailure as error:
            logger.warning("storage_away", error=str(error))
            raise Refused("storage_unavailable") from error

    async def _begin_anew_when_lost(self) -> None:
        """Somebody declares this server dead: its sessions are not ours any more."""
        await self.lease.until_lost()
        logger.warning("lease_lost", server_id=self.lease.server_id)
        await self.lease.register()
        # Neither is one that was begun meanwhile.
        for session in self._sessions:
            self._sessions.lose(session)
        logger.info("lease_taken_anew", server_id=self.lease.server_id)

    async def _adopt(self) -> None:
        if not self.is_draining:
            await self._sessions.adopt_orphans()

    async def _sweep(self) -> None:
        """Lets idle sessions leave memory, and dead servers the table."""
        await self._sessions.give_up_idle()
        await self.database.run(ownership.forget_ended_servers, FORGET_SERVERS_AFTER)

    def report(self) -> dict[str, Any]:
        """What the server says of itself, beside its lease; `services` by name."""
        return {
            "pid": os.getpid(),
            "connections": self.connection_count(),
            "active_sessions": self.session_count,
            "running": self.running_count,
            "loop_lag_ms": self._lag.worst_ms(),
            "recorder_failures": self.journal.recorder_failures,
            "services": self._services_report(),
            **self.says_besides(),
        }

    def _services_report(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        sockets: dict[str, set[str]] = {}
        for session in self._sessions:
            one = found.setdefault(session.service, {"active_sessions": 0, "running": 0})
            one["active_sessions"] += 1
            one["running"] += session.current is not None
            ids = sockets.setdefault(session.service, set())
            ids.update(socket.connection_id for socket in session.audience.sockets)
        for service, gauges in self.resources.gauges.items():
            found.setdefault(service, {"active_sessions": 0, "running": 0}).update(gauges.report())
        for service, ids in sockets.items():
            found[service]["connections"] = len(ids)
        return found
