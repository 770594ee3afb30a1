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
from agents.sockets.chat.translation import Translation
from agents.sockets.handshake import Host, Receive, Refusal, Scope, Send, Visitor, query_of
from agents.sockets.single import LANE, SingleConversation
from agents.transients import Problem, StepStarted, Transient
from myagent.protocol import CloseCode, ProtocolError
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

TOKEN_S = 10.0
"""Seconds that a client without other proof has for a first query with its token."""


class ChatConsumer(SingleConversation):
    """A socket of the chat dialect: one conversation, begun by its first query."""

    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        super().open(scope, receive, send, host)
        query = query_of(scope)
        self.session_id = query.get("session_id", [None])[0]
        self._after = _number(query.get("after", [""])[0])
        self._user_id = _user_id(scope)
        self._translation = Translation(self.lang)
        self._has_come_back = self.session_id is None
        self._told = 0

    # Sending to the client.

    @staticmethod
    def render_text(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
        return Chunk(text).frame

    @staticmethod
    def render_problem(problem: Problem) -> str:
        return Failure(problem.text).frame

    def greet(self) -> None:
        """The dialect has no word for it."""

    def keep_warm(self) -> None:
        """WebSocket pings do; the dialect has no word for it."""

    def push(self, logged: Logged) -> bool:
        if not self.outbox.has_room():
            return False
        self.note_entry(logged)
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
                self.note_problem()
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
        if not self._has_come_back and self.session_id is not None:
            self._has_come_back = True
            await self.come_back(self.session_id)
        await super().read()

    async def take(self, text: str) -> None:
        work = partial(self._answer, parse(text))
        if not await self.carry_out(LANE, text, work):
            self.say_refused("rate_limited")

    async def _answer(self, said: Query | Stop) -> None:
        if isinstance(said, Query):
            await self.ask(said.query)
        else:
            await self.stop()

    def facts_of_client(self) -> dict[str, Any]:
        return {"user_id": self._user_id}

    async def find_place(self, session_id: str) -> None:
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
    path = PATH.fullmatch(raw.decode("latin-1").removeprefix(scope.get("root_path", "")))
    return unquote(path["user_id"]) if path else ""


def _number(text: str) -> int | None:
    """A position in the log, or None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
