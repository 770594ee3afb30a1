"""The runner: what sockets may ask of the sessions alive in this process, and its own life."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson
import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents import entries, frames, ownership, reading, turns
from agents.background import Background
from agents.database import DatabaseThreads
from agents.entries import Entry
from agents.gauges import Gauges
from agents.ids import new_id
from agents.journal import Journal
from agents.lease import Lease
from agents.live import LiveSession
from agents.once import Once
from agents.ownership import Taken
from agents.ports import Place, Refused, SessionEvent, Socket
from agents.sentences import supported
from agents.sessions import Sessions
from agents.subscription import Subscription
from agents.workers import Workers
from agents.writes import NewSession
from myagent.protocol import (
    Cancel,
    CloseCode,
    CloseSession,
    CreateSession,
    Response,
    UserMessage,
)

T = TypeVar("T")

logger = structlog.get_logger(__name__)

FORGET_RUNNERS_AFTER = timedelta(days=1)


class Hub:
    """Keeps live sessions of one service; a `SessionPort`.

    `start` registers the runner and begins to adopt what dead ones left;
    `drain` lets runs finish; `stop` gives everything up. Both may be called
    twice.
    """

    def __init__(self, file: Path | str, service: str, workers: Workers) -> None:
        self.service = service
        self.workers = workers
        self.journal = Journal()
        self.database = DatabaseThreads()
        self.is_draining = False
        self.progress = asyncio.Event()
        self.source = str(Path(file).expanduser().resolve())
        self.lease = Lease(
            service,
            self.source,
            report=self.report,
            journal_moved_at=lambda: self.journal.moved_at,
        )
        self._sessions = Sessions(self, service, self.lease)
        self.background = Background()
        self.gauges = Gauges()
        self.connection_count: Callable[[], int] = lambda: 0
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
        self.background.repeat(0, self.gauges.watch_lag)
        self.background.repeat(min(30.0, settings.MYAGENT_SESSION_TIMEOUT_S / 2), self._sweep)

    async def drain(self, grace_s: float) -> None:
        """Takes no new work and waits for the current runs, except those that wait for people."""
        self.is_draining = True
        try:
            async with asyncio.timeout(grace_s):
                while any(session.status == "running" for session in self._sessions):
                    self.progress.clear()
                    await self.progress.wait()
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
        await self._sessions.leave()
        self.workers.close()
        await self.journal.stop()
        await self.lease.end()
        await self.database.stop()

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    @property
    def running_count(self) -> int:
        return sum(session.current is not None for session in self._sessions)

    @property
    def agent_name(self) -> str:
        """What the agent calls itself; the service's name until a worker was there."""
        agent = self.workers.of(self.service).agent
        return agent.name if agent is not None else self.service

    @property
    def agent_description(self) -> str:
        agent = self.workers.of(self.service).agent
        return agent.description if agent is not None else ""

    # The port.

    async def create(self, socket: Socket, event: CreateSession) -> None:
        if self.is_draining:
            raise Refused("service_unavailable")
        if event.metadata.service not in (None, self.service):
            raise Refused("no_service")
        if not self.journal.is_available:
            raise Refused("storage_unavailable")
        if self._sessions.is_full:
            raise Refused("service_unavailable")
        self._check_room(socket)
        lang = supported(event.metadata.lang) or socket.lang
        taken = Taken(new_id(), self.service, 1, lang, 0, is_closed=False, was_orphaned=False)
        empty = reading.Opened.empty(settings.MYAGENT_CONTEXT_TOKENS)
        session = self._sessions.keep(taken, empty)
        self._attach(socket, session)
        session.begin(socket, *self._beginning(socket, session, event))

    def _beginning(
        self, socket: Socket, session: LiveSession, event: CreateSession
    ) -> tuple[NewSession, Entry]:
        new = NewSession(
            service=self.service,
            lang=session.lang,
            runner_id=self.lease.runner_id,
            tags=orjson.dumps(event.metadata.tags).decode(),
            client=orjson.dumps(event.metadata.client).decode(),
        )
        entry = entries.session_created(
            session.lang, self.agent_name, self.service, socket.connection_id
        )
        return new, entry

    async def attach(self, socket: Socket, session_id: str, last_seq: int) -> None:
        session = await self._sessions.find(session_id)
        oldest = newest = 0
        if last_seq < session.last_seq:
            # Of a log that was pruned to nothing the oldest entry is the one that comes next.
            following = session.last_seq + 1
            oldest = await self._read(reading.oldest_seq, session_id) or following
        elif last_seq > session.last_seq:
            # What was just committed is in the log before anybody here is told.
            newest = await self._read(reading.newest_seq, session_id)
        # It may have left memory during the read.
        session = await self._sessions.find(session_id)
        if session_id not in socket.attached:
            # After the last wait: several may be on their way to the socket at once.
            self._check_room(socket)
        end = max(session.last_seq, newest)
        is_resync = last_seq > end or last_seq + 1 < oldest
        seq = max(0, oldest - 1) if is_resync else last_seq
        socket.push_frame(
            frames.resumed(
                session_id,
                session.lang,
                last_seq=max(session.last_seq, seq),
                status=session.status,
                replaying=max(0, session.last_seq - seq),
                is_resync=is_resync,
            )
        )
        subscription = self._attach(socket, session, seq)

        def announce() -> None:
            socket.push_frame(frames.replay_complete(session_id, subscription.seq))

        subscription.replay(announce=announce)

    async def place_after(self, session_id: str, seq: int | None) -> Place:
        place: Place = await self._read(turns.place_after, session_id, seq)
        return place

    async def send(self, socket: Socket, event: SessionEvent) -> None:
        session = await self._sessions.find(event.session_id)
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

    # What live sessions need: see `live.Keeper`.

    def forget(self, session: LiveSession) -> None:
        self._sessions.drop(session)
        for socket in session.audience.sockets:
            self.detach(socket, session.session_id)

    def lost(self, session: LiveSession) -> None:
        if not self._sessions.drop(session):
            return
        logger.warning("session_lost", session_id=session.session_id)
        attached = session.audience.sockets
        session.leave()
        for socket in attached:
            socket.attached.pop(session.session_id, None)
            frame = frames.error(socket.lang, "moved", session_id=session.session_id)
            socket.close(CloseCode.GOING_AWAY, frame)

    # Inside.

    def _attach(self, socket: Socket, session: LiveSession, seq: int | None = None) -> Subscription:
        socket.attached[session.session_id] = session
        return session.subscribe(socket, seq)

    def _check_room(self, socket: Socket) -> None:
        limit = settings.MYAGENT_SESSIONS_PER_CONNECTION
        if limit and len(socket.attached) >= limit:
            raise Refused("too_many_sessions")

    async def _read(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await self.database.run(work, *args)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=str(error))
            raise Refused("storage_unavailable") from error

    async def _begin_anew_when_lost(self) -> None:
        """Somebody declares this runner dead: its sessions are not ours any more."""
        await self.lease.until_lost()
        logger.warning("lease_lost", runner_id=self.lease.runner_id)
        await self.lease.register()
        # Neither is one that was begun meanwhile.
        for session in self._sessions:
            self.lost(session)
        logger.info("lease_taken_anew", runner_id=self.lease.runner_id)

    async def _adopt(self) -> None:
        if not self.is_draining:
            await self._sessions.adopt_orphans()

    async def _sweep(self) -> None:
        """Lets idle sessions leave memory, and dead runners the table."""
        await self._sessions.give_up_idle()
        await self.database.run(ownership.forget_ended_runners, self.service, FORGET_RUNNERS_AFTER)

    def report(self) -> dict[str, Any]:
        """What the runner says of itself, beside its lease."""
        return {
            "active_sessions": self.session_count,
            "running": self.running_count,
            "stuck_for_s": round(self.workers.of(self.service).silent_for_s, 1),
            "pid": os.getpid(),
            "connections": self.connection_count(),
            **self.gauges.report(),
        }
