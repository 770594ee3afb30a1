"""The sessions of external services that clients of this server have open."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.db import Error as DatabaseFailure

from agents.ownership import external
from agents.ownership.external import Known
from agents.ports import Asker, Refused, Socket
from agents.principals import Principal, key_of, may_act, may_use_service
from agents.runtime.explaining import explain
from agents.sessions.resources import Resources

T = TypeVar("T")

logger = structlog.get_logger(__name__)

TOUCH_S = 3600.0
"""Seconds between two notes that a session is in use."""

MAX_ID = 64
"""Characters of a session's id: clients can't say a longer one."""


class ExternalSession:
    """A session of an external service, as one client has it: a value of `Socket.attached`.

    It takes one of the service's places until the socket leaves it.
    """

    def __init__(self, session_id: str, service: str, leave: Callable[[str], None]) -> None:
        self.session_id = session_id
        self.service = service
        self.used_s = time.monotonic()
        """When its use was last written down."""
        self._leave = leave

    def unsubscribe(self, socket: Socket) -> None:
        self._leave(self.service)


class Elsewhere:
    """Its methods belong to the event loop. Those that wait raise `Refused`."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.held: Counter[str] = resources.held_elsewhere

    # Places, of which a service may have a limited number.

    def take_place(self, service: str) -> None:
        """A session of the service is about to be open here."""
        self.held[service] += 1

    def leave_place(self, service: str) -> None:
        self.held[service] -= 1
        if not self.held[service]:
            del self.held[service]

    def attach(self, socket: Socket, session_id: str, service: str) -> None:
        """The socket has the session, whose place is taken, until its port detaches it."""
        socket.attached[session_id] = ExternalSession(session_id, service, self.leave_place)

    # Whose they are.

    async def claim(self, session_id: str, service: str, principal: Principal | None) -> bool:
        """The service has begun the session for this principal. False: it is somebody else's."""
        known = Known(service, key_of(principal))
        return await self._run(external.claim, session_id, known)

    async def find(self, session_id: str, principal: Principal | None) -> str:
        """The service of a session that is open to the principal."""
        known = await self._run(external.find, session_id)
        if known is None:
            raise Refused("unknown_session")
        if not may_act(principal, known.principal):
            raise Refused("forbidden", sentence="forbidden_session")
        if not may_use_service(principal, known.service):
            raise Refused("forbidden", sentence="forbidden_service")
        return known.service

    async def touch(self, session_id: str) -> None:
        """The session is resumed, or used further: it is not forgotten yet."""
        await self._run(external.touch, session_id)

    async def check(self, session_id: str, service: str, principal: Principal | None) -> None:
        """Whether somebody who is known has begun the session at the service.

        Other spellings of its id are unknown here, whatever the service makes of them.
        """
        if principal is not None and await self.find(session_id, principal) != service:
            raise Refused("unknown_session")

    async def count_message(
        self, asker: Asker, service: str, session: ExternalSession | None
    ) -> None:
        """Counts a message, of which there may be so many a minute."""
        await self._resources.message_rates.take(asker.counted_as, service)
        if session is not None and time.monotonic() - session.used_s > TOUCH_S:
            session.used_s = time.monotonic()
            await self.touch(session.session_id)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        try:
            return await self._resources.database.run(work, *args)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            raise Refused("storage_unavailable", sentence="storage_away") from error
