"""One client's sessions at one external service: those that it asked for, and those that it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from agents.directory import Listed
from agents.ports import Refused
from agents.sessions.elsewhere import MAX_ID, ExternalSession
from agents.sockets.events import EventsConsumer

BEGINNING = ""
"""Stands for a service in what the client has asked for: for sessions that begin just now."""


class Guest:
    """Its methods belong to the event loop, and may raise `Refused` where they wait.

    `asked`: how many sessions the client has asked for that have not begun yet, by service; shared
    by the guests of one client. Each has its place at the service already.
    """

    def __init__(self, client: EventsConsumer, external: Listed, asked: Counter[str]) -> None:
        self._client = client
        self._service = external.name
        self._asked = asked
        self._elsewhere = client.host.elsewhere

    @property
    def waits(self) -> bool:
        """Whether the client waits for a session that it asked for."""
        return self._asked[self._service] > 0

    @property
    def sessions(self) -> list[str]:
        """The sessions that the client has there."""
        return [each for each in self._client.attached if each in self]

    def __contains__(self, session_id: str | None) -> bool:
        session = self._client.attached.get(session_id or "")
        return isinstance(session, ExternalSession) and session.service == self._service

    def ask(self) -> None:
        """The client asks for a session, for which there is a place."""
        self._elsewhere.take_place(self._service)
        self._asked[self._service] += 1

    @contextmanager
    def answered(self) -> Iterator[None]:
        """What the client asked for is answered. Its place is kept until the context ends: until a
        session that begins in it has one.
        """
        self._asked[self._service] -= 1
        try:
            yield
        finally:
            self._elsewhere.leave_place(self._service)

    def settle(self) -> None:
        """What the client asked for was answered without a session, or never will be."""
        with self.answered():
            pass

    def settle_all(self) -> None:
        """Nothing will be answered any more."""
        while self.waits:
            self.settle()

    async def begin(self, session_id: str, *, is_alone: bool = False) -> bool:
        """The service has begun a session: the client has it. False: it is somebody else's.

        `is_alone`: the client's socket belongs to the service alone, which may call its sessions
        there what it likes.
        """
        if len(session_id) > MAX_ID:
            return False
        if session_id in self._client.attached:
            return session_id in self
        # It has its place among the client's own while it is written down.
        self._asked[BEGINNING] += 1
        try:
            is_own = await self._elsewhere.claim(session_id, self._service, self._client.principal)
        finally:
            self._asked[BEGINNING] -= 1
        if is_own or is_alone:
            self.attach(session_id)
        return is_own or is_alone

    def attach(self, session_id: str) -> None:
        """From now on the client has the session. It may be called again."""
        if len(session_id) > MAX_ID:
            raise Refused("unknown_session")
        if session_id not in self._client.attached:
            check_room(self._client, self._asked)
            self._elsewhere.take_place(self._service)
            self._elsewhere.attach(self._client, session_id, self._service)


def check_room(client: EventsConsumer, asked: Counter[str]) -> None:
    """Raises `Refused` if the client has as many sessions as it may have, of any service."""
    limit = settings.MYAGENT_SESSIONS_PER_CONNECTION
    if limit and len(client.attached) + asked.total() >= limit:
        raise Refused("too_many_sessions")
