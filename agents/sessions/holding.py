"""The sessions alive in this process: kept, found, lost, given up."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.log import reading
from agents.ownership import taking
from agents.ownership.adoption import Adopted
from agents.ownership.lease import Lease
from agents.ownership.taking import OwnedElsewhere, Taken, UnknownSession
from agents.ports import Asker, Refused, SessionEvent, message_of
from agents.principals import Principal, may_see, may_use_service
from agents.runtime.explaining import explain
from agents.sessions.capacity import Capacity
from agents.sessions.followed import FollowedSession
from agents.sessions.following import Following
from agents.sessions.live import LiveSession
from agents.sessions.opening import Opening
from agents.sessions.resources import Resources
from agents.transients import Problem

T = TypeVar("T")

logger = structlog.get_logger(__name__)

FREED_AT_ONCE = 100
"""Sessions released in one statement."""

LEAST_SWEEP_S = 0.1
MOST_SWEEP_S = 30.0


class Sessions:
    """The sessions owned under `lease`. Its methods belong to the event loop."""

    def __init__(self, resources: Resources, lease: Lease) -> None:
        self._resources = resources
        self._directory = resources.directory
        self._lease = lease
        self._live: dict[str, LiveSession] = {}
        self.opening = Opening(resources, lease, self._live.get, self._keep_adopted)
        self.on_asked: Callable[[str], None] = lambda owner_id: None
        """Called with the id of an owner that was asked something (see `Following`)."""
        self.following = Following(
            resources, lease, self.opening.open_asked, lambda owner_id: self.on_asked(owner_id)
        )
        self.capacity = Capacity(resources, lease, self._live)
        self._to_free: dict[str, int] = {}
        """Sessions that left memory but are still owned, with their epochs."""

    @property
    def server_id(self) -> str:
        """The id of the server that owns them."""
        return self._lease.server_id

    @property
    def may_own_any(self) -> bool:
        """Whether others may be waiting for this server, as the owner of a session."""
        return bool(self._live or self._to_free or self.opening.may_have_taken)

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[LiveSession]:
        """A snapshot: later changes are not seen."""
        return iter(list(self._live.values()))

    def get(self, session_id: str) -> LiveSession | None:
        """The session, if it is alive here."""
        return self._live.get(session_id)

    def of(self, service: str) -> list[LiveSession]:
        return [session for session in self._live.values() if session.service == service]

    def keep(self, taken: Taken, opened: reading.Opened) -> LiveSession:
        session = LiveSession(self._resources, taken, opened, self)
        self._live[taken.session_id] = session
        self.note(session)
        self.following.cease(session)
        return session

    def _keep_adopted(self, adopted: Adopted) -> LiveSession:
        session = self.keep(adopted.taken, adopted.opened)
        if adopted.opened.unfinished and not adopted.taken.is_closed:
            session.resume(adopted.opened.unfinished)
        return session

    # The interface for live sessions: see `live.Keeper`.

    def note(self, session: LiveSession) -> None:
        if self._live.get(session.session_id) is session:
            self.capacity.note(session)

    def drop_unborn(self, session: LiveSession) -> None:
        self._forget(session)

    def lose(self, session: LiveSession) -> None:
        """Another server owns the session now: this one follows it if clients are attached.

        A server that is draining tells them to resume it elsewhere.
        """
        if not self._drop(session):
            return
        logger.warning("session_lost", session_id=session.session_id)
        if session.audience and not self._resources.is_draining:
            self.following.succeed(session)
        attached = session.audience.sockets
        session.leave()
        for socket in attached:
            socket.attached.pop(session.session_id, None)
            socket.lose(session.session_id)

    def pass_on(self, asker: Asker, event: SessionEvent) -> None:
        """What the loss of a session refused goes to its next owner."""
        if asker.inbox_row is None:
            self._resources.background.start(self._ask_again(asker, event))

    async def _ask_again(self, asker: Asker, event: SessionEvent) -> None:
        try:
            await self._ask_next_owner(asker, event)
            return
        except Refused as error:
            refused = error
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            refused = Refused("storage_unavailable")
        except Exception:
            logger.exception("request_not_passed_on", session_id=event.session_id)
            refused = Refused("internal_error")
        problem = Problem(
            asker.lang,
            refused.code,
            session_id=event.session_id,
            message_id=message_of(event),
            **refused.words,
        )
        asker.tell(problem)

    async def _ask_next_owner(self, asker: Asker, event: SessionEvent) -> None:
        """Raises `Refused` and `django.db.Error`."""
        while True:
            # Its principal has been checked here.
            session = await self._find_or_follow(event.session_id)
            try:
                await self.tell(session, asker, event)
                return
            except Refused as error:
                if error.code != "moved":
                    raise
                # It was lost again meanwhile.

    async def tell(
        self, session: LiveSession | FollowedSession, asker: Asker, event: SessionEvent
    ) -> None:
        """Gives the session a request, after those that it has not received yet.

        Raises `Refused` and `django.db.Error`.
        """
        if not await self.following.pass_behind(session.session_id, asker, event):
            await session.take(asker, event)

    def forget(self, session_id: str) -> None:
        """The session was removed from the log."""
        if (session := self._live.get(session_id)) is not None:
            self._forget(session)
            session.leave()

    def _forget(self, session: LiveSession) -> None:
        """The session is not in the log."""
        self._drop(session)
        for socket in session.audience.sockets:
            socket.attached.pop(session.session_id, None)
            session.unsubscribe(socket)

    def _drop(self, session: LiveSession) -> bool:
        """False if the session is not here, or was replaced."""
        if self._live.get(session.session_id) is not session:
            return False
        del self._live[session.session_id]
        self.capacity.forget(session)
        return True

    async def find(
        self, session_id: str, principal: Principal | None, addressed: str | None = None
    ) -> LiveSession | FollowedSession:
        """The session, alive or followed, if it is open to the principal; raises `Refused`.

        `addressed`: the only service whose sessions are meant, None for any.
        """
        if (here := self._here(session_id)) is not None:
            _check_origin(here.principal, here.service, principal, addressed)
            return here
        try:
            # Before it is taken over, which its owner would notice.
            if (principal, addressed) != (None, None):
                origin = await self._run(reading.origin_of, session_id)
                if origin is not None:
                    _check_origin(*origin, principal, addressed)
            return await self._find_or_follow(session_id)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            raise Refused("storage_unavailable", sentence="storage_away") from error

    def _here(self, session_id: str) -> LiveSession | FollowedSession | None:
        return self._live.get(session_id) or self.following.get(session_id)

    async def _find_or_follow(self, session_id: str) -> LiveSession | FollowedSession:
        """Raises `Refused` and `django.db.Error`."""
        while (here := self._here(session_id)) is None:
            if self._resources.is_draining:
                # Its next owner opens it and continues what is unfinished.
                raise Refused("service_unavailable")
            try:
                # It may leave memory again before this caller is resumed.
                await self.opening.open_asked(session_id)
            except UnknownSession as error:
                raise Refused("unknown_session") from error
            except OwnedElsewhere:
                await self._follow(session_id)
        return here

    async def _follow(self, session_id: str) -> None:
        try:
            await self.following.follow(session_id)
        except UnknownSession as error:
            raise Refused("unknown_session") from error
        if (live := self._live.get(session_id)) is not None:
            # It was adopted meanwhile.
            self.following.cease(live)

    async def give_up_idle(self) -> None:
        """Removes sessions from memory that have ended, were unused for long, or are too many.

        Raises `django.db.Error`; then the next call releases those that are still owned.
        """
        now = asyncio.get_running_loop().time()
        idle = sorted(
            (session for session in self._live.values() if session.is_idle),
            key=lambda session: session.idle_since,
        )
        excess = len(self._live) - settings.MYAGENT_LIVE_SESSIONS
        tokens = sum(session.tokens for session in self._live.values())
        for place, session in enumerate(idle):
            has_expired = now - session.idle_since >= self._timeout_s(session.service)
            is_too_much = place < excess or tokens > settings.MYAGENT_LIVE_TOKENS
            may_leave = session.has_ended or has_expired or is_too_much
            size = session.tokens
            if may_leave and self._give_up(session):
                tokens -= size
        await self._free()

    async def give_up(self, sessions: Iterable[LiveSession]) -> None:
        """Leaves idle sessions to their followers. Raises `django.db.Error`."""
        for session in sessions:
            self._give_up(session)
        await self._free()

    def _give_up(self, session: LiveSession) -> bool:
        """Removes it from memory if it can be; `_free` releases it then."""
        if not self._drop(session):
            return False
        session.leave()
        self._to_free[session.session_id] = session.epoch
        return True

    @property
    def sweep_s(self) -> float:
        """Seconds after which `give_up_idle` is due again: half of the shortest time-out."""
        found = map(self._timeout_s, self._directory.names())
        return max(LEAST_SWEEP_S, min(MOST_SWEEP_S, min(found, default=math.inf) / 2))

    def _timeout_s(self, service: str) -> float:
        listed = self._directory.find(service)
        own_s = None if listed is None else listed.session_timeout_s
        site_s: float = settings.MYAGENT_SESSION_TIMEOUT_S
        return site_s if own_s is None else own_s

    async def _free(self) -> None:
        while some := dict(islice(self._to_free.items(), FREED_AT_ONCE)):
            await self._run(taking.give_up, some, self._lease.server_id)
            for session_id, epoch in some.items():
                if self._to_free.get(session_id) == epoch:
                    del self._to_free[session_id]

    async def leave(self) -> None:
        """Stops working on all sessions; their next owner continues what is unfinished."""
        await self.opening.end()
        for session in self:
            # What is sent to it now is refused, and not passed on here.
            self._drop(session)
            session.leave()

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        return await self._resources.database.run(work, *args)


def _check_origin(
    creator: str, service: str, principal: Principal | None, addressed: str | None
) -> None:
    """Raises `Refused` if a session of this creator and service is not open to the principal."""
    if not may_see(principal, creator):
        raise Refused("forbidden", sentence="forbidden_session")
    if addressed not in (None, service):
        raise Refused("unknown_session")
    if not may_use_service(principal, service):
        raise Refused("forbidden", sentence="forbidden_service")
