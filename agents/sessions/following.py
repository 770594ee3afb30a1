"""The sessions of other servers that clients of this one are attached to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any

import structlog
from django.db import Error as DatabaseFailure

from agents.ownership import followers
from agents.ownership.followers import Followed, Tail
from agents.ownership.lease import Lease
from agents.ownership.taking import OwnedElsewhere, UnknownSession
from agents.ports import Asker, SessionEvent
from agents.runtime.explaining import explain
from agents.sessions.asking import Asking
from agents.sessions.followed import FollowedSession
from agents.sessions.live import LiveSession
from agents.sessions.resources import Resources
from agents.sessions.telling import Told

logger = structlog.get_logger(__name__)

LINGER_S = 5.0
"""Seconds that a session is followed without a client: it may come back."""


class Following:
    """Its methods belong to the event loop. `open_session` takes a session over.

    `on_asked` is called with the id of an owner that was asked something; '' if only the log has to
    be read.
    """

    def __init__(
        self,
        resources: Resources,
        lease: Lease,
        open_session: Callable[[str], Awaitable[LiveSession]],
        on_asked: Callable[[str], None],
    ) -> None:
        self._resources = resources
        self._lease = lease
        self._open = open_session
        self._on_asked = on_asked
        self._sessions: dict[str, FollowedSession] = {}
        self._ceased: dict[str, FollowedSession] = {}
        """Sessions that this server owns now, with requests from before in the inbox."""
        self._announced: set[str] = set()
        self._announced_by = ""
        self._stale: set[str] = set()
        """Sessions that were lost just now: what this server knew of their runs may be wrong."""
        self._being_taken: set[str] = set()
        self._asking = Asking(resources, lambda: lease.server_id, on_asked)

    def __bool__(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._sessions or self._asking or self._announced or self._ceased)

    @property
    def waits_for_answers(self) -> bool:
        return bool(self._asking)

    def __iter__(self) -> Iterator[FollowedSession]:
        """A snapshot: later changes are not seen."""
        return iter(list(self._sessions.values()))

    def get(self, session_id: str) -> FollowedSession | None:
        return self._sessions.get(session_id)

    async def follow(self, session_id: str) -> FollowedSession:
        """Raises `UnknownSession` and `django.db.Error`."""
        services = self._resources.directory.names()
        seen = await self._run(followers.read, session_id, services)
        if session_id not in self._sessions:
            self._keep(session_id, seen)
        return self._sessions[session_id]

    def succeed(self, session: LiveSession) -> FollowedSession:
        """Follows a session that was lost, with the sockets that are attached to it."""
        seen = Followed(
            "", session.service, session.lang, session.principal, session.last_seq, set(), set()
        )
        followed = self._keep(session.session_id, seen)
        self._stale.add(session.session_id)
        _move_sockets(session, followed)
        return followed

    def cease(self, session: LiveSession) -> None:
        """This server owns the session now: its sockets go there."""
        if (followed := self._sessions.pop(session.session_id, None)) is not None:
            _move_sockets(followed, session)
            if followed.pending:
                self._ceased[session.session_id] = followed
                # They wait for this server now.
                followed.owner_id = ""
                self._on_asked("")

    async def pass_behind(self, session_id: str, asker: Asker, event: SessionEvent) -> bool:
        """Puts a request behind those that wait in the inbox for this server; False if none does.

        A session that was taken over must not be told of it before them. Raises `Refused`.
        """
        ceased = self._ceased.get(session_id)
        if ceased is None or not ceased.pending or session_id in self._sessions:
            return False
        await ceased.take(asker, event)
        return True

    def hear(self, session_id: str, told: Sequence[Told]) -> None:
        """What a session's owner tells."""
        session = self._sessions.get(session_id)
        if session is None:
            return
        is_known = session_id not in self._stale and session.hear(told)
        # An entry may answer a request.
        if not is_known or session.pending:
            self._on_asked("")

    async def look(self) -> bool:
        """Reads what is new. True: there is more to read. Raises `django.db.Error`."""
        self._drop_idle()
        try:
            await self._announce()
            is_whole = await self._read_logs()
        except Exception:
            # Answers do not depend on it.
            await self._asking.collect()
            raise
        await self._asking.collect()
        return not is_whole

    # Internals.

    def _keep(self, session_id: str, seen: Followed) -> FollowedSession:
        followed = FollowedSession(
            session_id,
            seen,
            self._resources.database,
            self._asking.ask,
            count=partial(self._resources.count_clients, seen.service),
        )
        self._sessions[session_id] = followed
        logger.info("session_followed", session_id=session_id)
        # Its owner is told now.
        self._on_asked("")
        return followed

    def _drop_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        for session in self:
            if session.is_idle and now - session.idle_since >= LINGER_S:
                del self._sessions[session.session_id]
        self._ceased = {id_: each for id_, each in self._ceased.items() if each.pending}

    async def _announce(self) -> None:
        own_id = self._lease.server_id
        if own_id != self._announced_by:
            self._announced, self._announced_by = set(), own_id
        followed = set(self._sessions)
        if new := followed - self._announced:
            await self._run(followers.announce, own_id, new)
            self._announced |= new
            for owner_id in {self._sessions[each].owner_id for each in new & set(self._sessions)}:
                self._on_asked(owner_id)
        if left := self._announced - followed:
            await self._run(followers.withdraw, own_id, left)
            self._announced -= left

    async def _read_logs(self) -> bool:
        read = {session.session_id: session for session in self}
        if not read:
            return True
        places = {session_id: session.last_seq for session_id, session in read.items()}
        tails = await self._run(followers.tails, places, self._lease.server_id)
        for session_id, followed in read.items():
            if self._sessions.get(session_id) is not followed:
                # It was taken over meanwhile, and perhaps lost again.
                continue
            if (tail := tails.get(session_id)) is None:
                self._lose(followed)
            else:
                await self._follow_on_alone(followed, tail)
        return all(tail.is_whole for tail in tails.values())

    async def _follow_on_alone(self, followed: FollowedSession, tail: Tail) -> None:
        """One session that can't be followed must not hold up the others."""
        try:
            await self._follow_on(followed, tail)
        except UnknownSession:
            self._lose(followed)
        except DatabaseFailure:
            raise
        except Exception:
            logger.exception("session_not_followed", session_id=followed.session_id)

    async def _follow_on(self, followed: FollowedSession, tail: Tail) -> None:
        session_id, followed.owner_id = followed.session_id, tail.owner_id
        if session_id in self._stale:
            services = self._resources.directory.names()
            seen = await self._run(followers.read, session_id, services)
            self._stale.discard(session_id)
            followed.refresh(seen)
        followed.show(tail.entries, tail.end)
        is_free = not tail.is_owned and not self._resources.is_draining
        if is_free and session_id not in self._being_taken:
            self._being_taken.add(session_id)
            self._resources.background.start(self._take_over(session_id))

    async def _take_over(self, session_id: str) -> None:
        try:
            await self._open(session_id)
            logger.info("session_taken_over", session_id=session_id)
        except (OwnedElsewhere, UnknownSession):
            logger.debug("somebody_else_took_over", session_id=session_id)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
        finally:
            self._being_taken.discard(session_id)

    def _lose(self, followed: FollowedSession) -> None:
        """The session does not exist any more."""
        self._sessions.pop(followed.session_id, None)
        self._stale.discard(followed.session_id)
        for subscription in followed.audience.release():
            subscription.close()
            socket = subscription.socket
            socket.attached.pop(followed.session_id, None)
            socket.lose(followed.session_id, "unknown_session")

    async def _run(self, work: Callable[..., Any], *args: Any) -> Any:
        return await self._resources.database.run(work, *args)


def _move_sockets(
    former: LiveSession | FollowedSession, present: LiveSession | FollowedSession
) -> None:
    subscriptions = former.audience.release()
    for subscription in subscriptions:
        subscription.socket.attached[present.session_id] = present
    present.audience.admit(subscriptions)
