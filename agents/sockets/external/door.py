"""Sockets of the events dialect: to the sessions of this server, and of external services."""

from __future__ import annotations

from functools import partial

from agents.ports import Refused
from agents.runtime.edge import headers_of
from agents.sessions.elsewhere import ExternalSession
from agents.sockets.events import EventsConsumer
from agents.sockets.external import upstream
from agents.sockets.external.away import Away
from agents.sockets.external.forwarded import ForwardedSocket
from agents.transients import Problem
from myagent.protocol import (
    ClientEvent,
    CreateSession,
    Detach,
    ProtocolError,
    Reconnect,
    UserMessage,
)
from myagent.protocol.client_events import read_object


class EventsDoor(EventsConsumer):
    """A client that addresses an external service is forwarded to it as a whole.

    Any other may have sessions of ours and of external services on its socket.
    """

    _forwarded: ForwardedSocket | None = None
    _kept_away: Away | None = None

    @property
    def why_not_forwarded(self) -> str:
        return "forwarded_already" if upstream.is_forwarded(headers_of(self.scope)) else ""

    def close(self, code: int, problem: Problem | None) -> None:
        # Whoever let the client in knows this socket only.
        if self._forwarded is None:
            super().close(code, problem)
        else:
            self._forwarded.close(code, problem)

    def beat(self, now: float) -> None:
        super().beat(now)
        if self._kept_away is not None:
            self._kept_away.beat()

    async def run(self) -> None:
        external = self.host.external(self.service)
        if external is None:
            try:
                await super().run()
            finally:
                if self._kept_away is not None:
                    await self._kept_away.end()
            return
        forwarded = ForwardedSocket(external)
        forwarded.open(self.scope, self._receive, self.base_send, self.host)
        forwarded.principal = self.principal
        if self._closing is not None:
            forwarded.close(*self._closing)
        self._forwarded = forwarded
        await forwarded.run()

    @property
    def _away(self) -> Away:
        """Made when it is first needed: most clients have no session elsewhere."""
        if self._kept_away is None:
            self._kept_away = Away(self)
        return self._kept_away

    # What the client sends.

    async def take(self, text: str) -> None:
        try:
            await super().take(text)
        except ProtocolError as error:
            session = self._elsewhere_in(text) if error.code == "unknown_event" else None
            if session is None:
                raise
            # What this site does not know, the service may.
            work = partial(self._pass_on, session, text)
            if not await self.carry_out(session.session_id, text, work):
                self.say_refused("rate_limited", session.session_id)

    def _elsewhere_in(self, text: str) -> ExternalSession | None:
        """The session of an external service that a frame names."""
        if self._kept_away is None:
            return None
        session_id = read_object(text).get("session_id")
        session = self.attached.get(session_id) if isinstance(session_id, str) else None
        return session if isinstance(session, ExternalSession) else None

    async def _pass_on(self, session: ExternalSession, text: str) -> None:
        await self.attempt(self._away.send(session, text), session.session_id)

    async def _do(self, event: ClientEvent, text: str) -> None:
        try:
            await self._do_anywhere(event, text)
        except Refused as error:
            if isinstance(event, UserMessage):
                error.message_id = event.metadata.message_id
            raise

    async def _do_anywhere(self, event: ClientEvent, text: str) -> None:
        if isinstance(event, CreateSession):
            await self._create(event, text)
            return
        session = self.attached.get(event.session_id)
        if isinstance(session, ExternalSession):
            if isinstance(event, UserMessage):
                await self.host.elsewhere.count_message(self, session.service, session)
            await self._away.send(session, text)
            if isinstance(event, Detach):
                self.port.detach(self, event.session_id)
            return
        try:
            await super()._do(event, text)
        except Refused as error:
            if error.code != "unknown_session":
                raise
            if not isinstance(event, Reconnect):
                raise await self._away.explain(event.session_id) from error
            await self._away.resume(event, text)

    async def _create(self, event: CreateSession, text: str) -> None:
        if self._kept_away is not None:
            self._kept_away.check_room()
        external = await self.port.create(self, event)
        if external is not None:
            await self._away.create(external, text)
