"""The events dialect's consumer: frames in, a port's verbs; entries in, frames out."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from agents.log.entry import Logged
from agents.runtime import logs
from agents.sockets import rendering
from agents.sockets.base import SocketConsumer
from agents.sockets.handshake import Host, Receive, Scope, Send
from agents.transients import Connected, Heartbeat, Notice, Problem, Transient
from myagent import protocol
from myagent.protocol import (
    ClientEvent,
    CreateSession,
    Detach,
    Feedback,
    ProtocolError,
    Reconnect,
    UserMessage,
)

logger = structlog.get_logger(__name__)

OPENINGS_AT_ONCE = 4
"""Sessions that are opened concurrently for one socket: others want theirs read as well."""


class EventsConsumer(SocketConsumer):
    """A socket of the events dialect. None of its requests waits for a run or a commit.

    Each session has a lane: a request to one never waits for another session. Only requests that
    open sessions take turns; a cancel or a response does not.
    """

    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        super().open(scope, receive, send, host)
        self._openings = asyncio.Semaphore(OPENINGS_AT_ONCE)
        self._takes_messages = True
        """What the client was last told about the service that it addressed."""

    def greet(self) -> None:
        self.tell(Connected(self.lang, self.connection_id, self.others.name))
        self._tell_of_service()

    def beat(self, now: float) -> None:
        super().beat(now)
        self._tell_of_service()

    def _tell_of_service(self) -> None:
        """Tells the client when the service is stopped, and when it takes messages again."""
        takes_messages = self.service is None or self.port.may_wait(self.service)
        if takes_messages != self._takes_messages:
            self._takes_messages = takes_messages
            code = "service_started" if takes_messages else "service_stopped"
            self.tell(Notice(self.lang, code))

    def keep_warm(self) -> None:
        self.outbox.push_frame(rendering.render(Heartbeat()))

    # What a session sees of the socket.

    def push(self, logged: Logged) -> bool:
        return self.outbox.push(logged)

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        return self.outbox.push_text(session_id, run_id, step, offset, text)

    def tell(self, transient: Transient) -> None:
        self.outbox.push_frame(rendering.render(transient))
        if self.outbox.is_overfull:
            self.close_slow()

    @staticmethod
    def render_text(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
        return rendering.partial(session_id, run_id, step, offset, text)

    @staticmethod
    def render_problem(problem: Problem) -> str:
        return rendering.problem(problem)

    # What the client sends.

    async def take(self, text: str) -> None:
        event = protocol.parse(text)
        session_id, message_id = _names(event)
        if logs.is_debug():
            logger.debug(
                "received",
                connection_id=self.connection_id,
                what=event.event,
                session_id=session_id,
                message_id=message_id,
                characters=len(text),
            )
        work = partial(self._answer, event, session_id, text)
        if not await self.carry_out(session_id or "", text, work):
            self.say_refused("rate_limited", session_id, message_id)

    async def _answer(self, event: ClientEvent, session_id: str | None, text: str) -> None:
        await self.attempt(self._do(event, text), session_id)

    async def _do(self, event: ClientEvent, text: str) -> None:
        """Carries out an event; `text` is its frame. Raises `Refused`."""
        match event:
            case CreateSession():
                await self.port.create(self, event)
            case Reconnect():
                async with self._openings:
                    await self.port.attach(self, event.session_id, event.metadata.last_seq)
            case Detach():
                self.port.detach(self, event.session_id)
            case UserMessage() if event.session_id not in self.attached:
                async with self._openings:
                    await self.port.send(self, event)
            case _:
                await self.port.send(self, event)

    def refuse_for_rate(self, text: str) -> None:
        self.say_refused("rate_limited", *_names_in(text), **self._rate_words())


MOST_NAMED = 8 * 1024
"""Maximum length, in characters, of a refused frame that is parsed to see what it concerned."""


def _names_in(text: str) -> tuple[str | None, str | None]:
    """The session and the message that a refused frame names, if it is short and valid."""
    if len(text) > MOST_NAMED:
        return None, None
    try:
        return _names(protocol.parse(text))
    except ProtocolError:
        return None, None


def _names(event: ClientEvent) -> tuple[str | None, str | None]:
    """The session and the message that an event names."""
    session_id = None if isinstance(event, CreateSession) else event.session_id
    if isinstance(event, UserMessage | Feedback):
        return session_id, event.metadata.message_id
    return session_id, None
