"""The requests that sockets may make of this process's live sessions."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import orjson
import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.directory import Listed
from agents.log import kinds, reading, turns
from agents.log.entry import Entry
from agents.log.turns import Place
from agents.log.writes import NewSession
from agents.ownership.taking import Taken
from agents.ports import Refused, SessionEvent, Socket, message_of
from agents.principals import Principal, key_of, may_act, may_use_service
from agents.runtime.explaining import explain
from agents.runtime.ids import new_id
from agents.sentences import supported
from agents.sessions.followed import FollowedSession
from agents.sessions.holding import Sessions
from agents.sessions.live import LiveSession
from agents.sessions.resources import Resources
from agents.sessions.resuming import Standings
from agents.sessions.subscription import Subscription
from agents.transients import ReplayComplete, Resumed
from myagent.protocol import CreateSession
from myagent.worker.protocol import AgentInfo

T = TypeVar("T")

logger = structlog.get_logger(__name__)

MOST_NAMED = 20
"""Number of services that are listed to a client that named none."""

MOST_TRIED = 8
"""Full services that are passed over for a client that named none."""


class Hub:
    """A `SessionPort` to the live sessions of a server's services."""

    def __init__(self, resources: Resources, sessions: Sessions) -> None:
        self._resources = resources
        self._sessions = sessions
        self._standings = Standings(resources.database)

    async def stop(self) -> None:
        """Stops answering. May be called twice."""
        await self._standings.end()

    def agent_of(self, service: str) -> AgentInfo:
        """The agent's description of itself; only its name before the first worker."""
        return self._resources.workers.of(service).agent or AgentInfo(service)

    async def create(self, socket: Socket, event: CreateSession) -> Listed | None:
        if self._resources.is_draining:
            raise Refused("service_unavailable")
        listed, affinity = await self._place_for(socket, event)
        if listed.url:
            return listed
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
        session.prefer_worker_for(affinity)
        self._attach(socket, session)
        session.begin(socket, *self._beginning(socket, session, event))
        return None

    async def _place_for(self, socket: Socket, event: CreateSession) -> tuple[Listed, str]:
        """The same as `_service_for`, of one with a place that is taken before the next await."""
        refusing: set[str] = set()
        while True:
            listed, affinity = await self._service_for(socket, event)
            self._check_begin(socket, listed)
            try:
                await self._sessions.capacity.claim(listed)
            except Refused:
                # That it is full is known only now: a rule may have another one for this client.
                is_last = listed.name in refusing or len(refusing) == MOST_TRIED
                if is_last or _named(socket, event) is not None:
                    raise
                refusing.add(listed.name)
            else:
                self._check_begin(socket, listed)
                return listed, affinity

    def _check_begin(self, socket: Socket, listed: Listed) -> None:
        """Raises `Refused` unless a session of the service may begin now."""
        if not self._resources.journal.is_available:
            raise Refused("storage_unavailable", sentence="storage_away")
        if self._resources.is_draining or self._sessions.capacity.is_full:
            raise Refused("service_unavailable")
        if not self.may_wait(listed.name):
            raise Refused("service_unavailable", sentence="no_worker")
        self._check_room(socket)

    def _beginning(
        self, socket: Socket, session: LiveSession, event: CreateSession
    ) -> tuple[NewSession, Entry]:
        new = NewSession(
            service=session.service,
            lang=session.lang,
            owner_id=self._sessions.server_id,
            tags=orjson.dumps(event.metadata.tags).decode(),
            client=orjson.dumps(event.metadata.client).decode(),
            principal=session.principal,
        )
        agent = self.agent_of(session.service)
        entry = kinds.session_created(session.lang, agent, session.service, socket.connection_id)
        return new, entry

    async def attach(self, socket: Socket, session_id: str, last_seq: int) -> None:
        session = await self._find(socket, session_id)
        asked = self._standings.find(session_id, last_seq, session.last_seq)
        standing = await self._reading(asked)
        # It may have left memory during the read.
        session = await self._find(socket, session_id)
        if session_id not in socket.attached:
            # After the last await: several sessions may be attaching to the socket concurrently.
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
                model=self.agent_of(session.service).model,
            )
        )
        subscription = self._attach(socket, session, seq)

        def announce() -> None:
            socket.tell(ReplayComplete(session_id, subscription.seq))

        subscription.replay(standing.first, announce=announce)

    async def place_after(self, session_id: str, seq: int | None) -> Place:
        return await self._reading(self._resources.database.run(turns.place_after, session_id, seq))

    async def send(self, socket: Socket, event: SessionEvent) -> None:
        while True:
            session = await self._find(socket, event.session_id)
            if not may_act(socket.principal, session.principal):
                message_id = message_of(event)
                raise Refused("forbidden", message_id=message_id, sentence="forbidden_to_act")
            if event.session_id not in socket.attached:
                self._check_room(socket)
                self._attach(socket, session)
            try:
                await self._sessions.tell(session, socket, event)
                return
            except DatabaseFailure as error:
                logger.warning("storage_away", error=explain(error))
                raise Refused("storage_unavailable", message_id=message_of(event)) from error
            except Refused as error:
                if error.code != "moved":
                    raise
                # The session was lost meanwhile: its next owner is asked.

    def detach(self, socket: Socket, session_id: str | None = None) -> None:
        leaving = list(socket.attached) if session_id is None else [session_id]
        for id_ in leaving:
            session = socket.attached.pop(id_, None)
            if session is not None:
                session.unsubscribe(socket)

    def forget(self, session_id: str) -> None:
        self._sessions.forget(session_id)

    def may_wait(self, service: str) -> bool:
        return self._resources.may_wait(service)

    async def knows(self, service: str) -> bool:
        """Whether the service exists now."""
        listed = self._resources.directory.find(service)
        if listed is None or (listed.url and not listed.is_expected):
            # Nothing else reads again for a client of an external service.
            await self._refresh()
        return self._resources.directory.find(service) is not None

    # Internals.

    async def _service_for(self, socket: Socket, event: CreateSession) -> tuple[Listed, str]:
        """The service of a new session, and its `Choice.affinity`. Raises `Refused`."""
        wanted = event.metadata.service
        if socket.service is not None and wanted not in (None, socket.service):
            raise Refused("no_service")
        named = _named(socket, event)
        listed, affinity = self._meant(socket, event, named)
        if listed is None or not self.may_wait(listed.name):
            # It may have been registered or started just now.
            await self._refresh()
            listed, affinity = self._meant(socket, event, named)
        if listed is None:
            raise self._no_service(socket, named)
        if not may_use_service(socket.principal, listed.name):
            raise Refused("forbidden", sentence="forbidden_service")
        if listed.url and socket.why_not_forwarded:
            raise Refused("no_service", sentence=socket.why_not_forwarded)
        return listed, affinity

    def _meant(
        self, socket: Socket, event: CreateSession, named: str | None
    ) -> tuple[Listed | None, str]:
        """The named service; if none is named, one that is chosen by what is known of the client.

        A full one is only returned if others are full as well.
        """
        find, choose = self._resources.directory.find, self._resources.directory.choose
        if named is not None:
            return find(named), ""
        facts, barred = socket.facts(event.metadata.model_dump()), self._barred(socket)
        full: list[Listed] = []
        while choice := choose(facts, without=[*barred, *(each.name for each in full)]):
            listed = find(choice.service)
            if (
                listed is None
                or len(full) == MOST_TRIED
                or not self._sessions.capacity.is_full_of(listed)
            ):
                return listed, choice.affinity
            full.append(listed)
        return (full[0] if full else None), ""

    def _barred(self, socket: Socket) -> set[str]:
        """The services that the client can't have: it may not use them, or is not forwarded."""
        directory, principal = self._resources.directory, socket.principal
        barred = set(directory.external()) if socket.why_not_forwarded else set()
        if principal is not None and principal.services is not None:
            barred |= {*directory.names(), *directory.external()} - principal.services
        return barred

    def _no_service(self, socket: Socket, named: str | None) -> Refused:
        """Refuses a client that named none of several services, and lists them."""
        if named is not None:
            return Refused("no_service")
        found = sorted({*self._resources.directory.choices()} - self._barred(socket))
        if not found:
            return Refused("no_service", sentence="none_available")
        shown = [*found[:MOST_NAMED], *(["…"] if len(found) > MOST_NAMED else [])]
        return Refused("no_service", sentence="name_a_service", detail=", ".join(shown))

    async def _refresh(self) -> None:
        try:
            await self._resources.directory.refresh()
        except DatabaseFailure as error:
            # What was known before holds.
            logger.warning("storage_away", error=explain(error))

    async def _find(self, socket: Socket, session_id: str) -> LiveSession | FollowedSession:
        """The session, if the client may use it and it belongs to the addressed service."""
        return await self._sessions.find(session_id, socket.principal, socket.service)

    def _attach(
        self, socket: Socket, session: LiveSession | FollowedSession, seq: int | None = None
    ) -> Subscription:
        socket.attached[session.session_id] = session
        return session.subscribe(socket, seq)

    def _check_room(self, socket: Socket) -> None:
        limit = settings.MYAGENT_SESSIONS_PER_CONNECTION
        if limit and len(socket.attached) >= limit:
            raise Refused("too_many_sessions")

    async def _reading(self, asked: Awaitable[T]) -> T:
        """Awaits a read of the database. Raises `Refused`."""
        try:
            return await asked
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            raise Refused("storage_unavailable", sentence="storage_away") from error


def _named(socket: Socket, event: CreateSession) -> str | None:
    """The service that a client names, or that no other can be meant by; None: a rule chooses."""
    return event.metadata.service or socket.service or _only_one_of(socket.principal)


def _only_one_of(principal: Principal | None) -> str | None:
    """The service that a principal means who may use only one."""
    if principal is None or principal.services is None or len(principal.services) != 1:
        return None
    return next(iter(principal.services))
