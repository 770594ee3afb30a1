"""The chat dialect's consumer: queries in, a port's verbs; entries in, a typewriter stream out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

import structlog

from agents.log.entry import Logged
from agents.ports import Refused
from agents.sockets.base import SocketConsumer
from agents.sockets.chat.translation import Translation
from agents.sockets.handshake import Host, Receive, Refusal, Scope, Send, Visitor, query_of
from agents.transients import Problem, StepStarted, Transient
from myagent.protocol import (
    Cancel,
    CloseCode,
    CreateSession,
    CreateSessionMetadata,
    ProtocolError,
    UserMessage,
)
from myagent.protocol.chat import (
    MAX_USER_ID,
    Chunk,
    Failure,
    Query,
    ServerFrame,
    Stop,
    parse,
)

logger = structlog.get_logger(__name__)

PATH = re.compile(r"(/services/[^/]+)?/ws/chat/(?P<user_id>[^/]+)/?")

LANE = ""
"""The one lane of a socket: a conversation's queries and cancels keep their order."""

TOKEN_S = 10.0
"""Seconds that a client without other proof has for a first query with its token."""

CREATE_S = 10.0
"""Seconds for which a first query waits until its session is in the log."""


class ChatConsumer(SocketConsumer):
    """A socket of the chat dialect: one conversation, begun by its first query."""

    has_heartbeat = False

    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        super().open(scope, receive, send, host)
        query = query_of(scope)
        self._session_id = query.get("session_id", [None])[0]
        self._after = _number(query.get("after", [""])[0])
        self._user_id = _user_id(scope)
        self._translation = Translation(self.lang)
        self._is_attached = False
        self._has_come_back = self._session_id is None
        self._settled = asyncio.Event()
        self._told = 0

    # Sending to the client.

    @staticmethod
    def render_text(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
        return Chunk(text).frame

    @staticmethod
    def render_problem(problem: Problem) -> str:
        return Failure(problem.text).frame

    async def run(self) -> None:
        if self.host.external(self.service) is None:
            await super().run()
        else:
            problem = Problem(self.lang, "no_service", "only_events")
            await self.say_goodbye(CloseCode.NO_SUCH_SERVICE, problem)

    def greet(self) -> None:
        """The dialect has no word for it."""

    def keep_warm(self) -> None:
        """WebSocket pings do; the dialect has no word for it."""

    def push(self, logged: Logged) -> bool:
        if not self.outbox.has_room():
            return False
        if logged.event == "agent.session_created":
            self._session_id, self._is_attached = logged.session_id, True
            self._settled.set()
        self._send_all(self._translation.entry(logged))
        return True

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        if not self.outbox.has_room():
            return False
        self._send_all(self._translation.text(run_id, step, offset, text))
        return True

    def tell(self, transient: Transient) -> None:
        match transient:
            case Problem():
                self._settled.set()
                self.answer(transient)
            case StepStarted():
                self._say(self._translation.step_started(transient.step))

    def answer(self, problem: Problem) -> None:
        self._say([Failure(problem.text)])

    def _say(self, shapes: Iterable[ServerFrame]) -> None:
        """Sends what is not in the log; closes the socket if the client does not take even that."""
        if self.outbox.is_overfull:
            self.close_slow()
        else:
            self._send_all(shapes)

    def _send_all(self, shapes: Iterable[ServerFrame]) -> None:
        for each in shapes:
            if isinstance(each, Chunk) and not each.is_final:
                # What waits grows in place: a slow reader gets fewer, longer chunks.
                self.outbox.add_text("", "", 0, self._told, each.content)
                self._told += len(each.content)
            else:
                self.outbox.add_frame(each.frame)

    # Requests of the client.

    def refusal(self, scope: Scope) -> Refusal | None:
        if not 0 < len(_user_id(scope)) <= MAX_USER_ID:
            return Refusal(CloseCode.PROTOCOL_ABUSE, "invalid_event", detail="user_id")
        return super().refusal(scope)

    async def identify(self, visitor: Visitor) -> Refusal | None:
        """A client without other proof may say its token in its first query.

        Such a client may send a cookie of a login that has ended.
        """
        if visitor.has_proof:
            refusal = await super().identify(visitor)
            if visitor.has_token or refusal is None or refusal.problem != "unauthenticated":
                return refusal
        message: dict[str, Any] = {}
        try:
            async with asyncio.timeout(TOKEN_S):
                message = await self._receive()
        except TimeoutError:
            logger.debug("no_token_came", connection_id=self.connection_id)
        self._receive = _first(message, self._receive)
        return await visitor.identify(self, _token_in(message.get("text")))

    async def read(self) -> None:
        if not self._has_come_back and self._session_id is not None:
            self._has_come_back = True
            await self.lanes.take(LANE, 0, partial(self._attach, self._session_id))
        await super().read()

    async def take(self, text: str) -> None:
        work = partial(self._answer, parse(text))
        if not await self.carry_out(LANE, text, work):
            self.say_refused("rate_limited")

    async def _answer(self, said: Query | Stop) -> None:
        if isinstance(said, Query):
            await self._ask(said.query)
        elif self._is_attached and self._session_id is not None:
            cancel = Cancel(event="user.cancel", session_id=self._session_id)
            await self.attempt(self.port.send(self, cancel), self._session_id)

    async def _ask(self, text: str) -> None:
        if not self._is_attached:
            if self._session_id is None:
                await self._create()
            else:
                await self._attach(self._session_id)
        if self._is_attached and self._session_id is not None:
            session_id = self._session_id
            message = UserMessage(event="user.message", session_id=session_id, content=text)
            await self.attempt(self.port.send(self, message), session_id)

    async def _create(self) -> None:
        """Creates a session and waits until that is in the log or refused."""
        self._settled.clear()
        metadata = CreateSessionMetadata(client={"user_id": self._user_id})
        event = CreateSession(event="user.create_session", metadata=metadata)
        if not await self.attempt(self.port.create(self, event), None):
            return
        try:
            async with asyncio.timeout(CREATE_S):
                await self._settled.wait()
        except TimeoutError:
            self.say_refused("storage_unavailable")

    async def _attach(self, session_id: str) -> None:
        """Continues a session; if it does not exist, a later query creates a new one."""
        self._is_attached = await self.attempt(self._return(session_id), session_id)

    async def _return(self, session_id: str) -> None:
        try:
            await self._find_place(session_id)
        except Refused as error:
            if error.code == "unknown_session":
                self._session_id = None
            raise

    async def _find_place(self, session_id: str) -> None:
        place = await self.port.place_after(session_id, self._after)
        self._translation = Translation(self.lang, place.done_seq, is_return=place.is_unfinished)
        await self.port.attach(self, session_id, place.last_seq)


def _first(message: dict[str, Any], others: Receive) -> Receive:
    """Receives a message that has been read already, and then the others."""
    left = [message]

    async def receive() -> dict[str, Any]:
        return left.pop() if left else await others()

    return receive


def _token_in(text: str | None) -> str | None:
    """The token of a query."""
    try:
        said = parse(text or "")
    except ProtocolError:
        return None
    return said.token if isinstance(said, Query) else None


def _user_id(scope: Scope) -> str:
    """The path's segment, decoded; a slash in it is its own, so the raw path is read."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    path = PATH.fullmatch(raw.decode("latin-1"))
    return unquote(path["user_id"]) if path else ""


def _number(text: str) -> int | None:
    """A position in the log, or None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
