"""The events dialect's consumer: frames in, a port's verbs; entries in, frames out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import structlog
from django.conf import settings

from agents import frames
from agents.connections import Connections
from agents.edge import client_address, headers_of, is_loopback, origin_is_allowed
from agents.entries import Logged
from agents.limits import TokenBucket
from agents.outbox import Outbox, SocketGone
from agents.ports import Refused, SessionPort
from agents.sentences import choose
from myagent import protocol
from myagent.protocol import (
    ClientEvent,
    CloseCode,
    CreateSession,
    Detach,
    ErrorCode,
    ProtocolError,
    Reconnect,
    UserMessage,
)

logger = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MOST_BAD_FRAMES = 3
"""Unusable frames in a row that close a socket."""

MOST_REFUSED_FRAMES = 100
"""Frames in a row above the rate limit that close a socket."""


class EventsConsumer:
    """One socket. An `agents.ports.Socket`.

    A direct receive loop: no layer between the server and the port. Nothing in
    it waits for a run or a commit.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, port: SessionPort, others: Connections
    ) -> None:
        headers = headers_of(scope)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        self.connection_id = str(uuid.uuid4())
        self.attached: dict[str, Any] = {}
        self.lang = choose(
            *query.get("lang", ()),
            accept_language=headers.get(b"accept-language", b"").decode("latin-1"),
        )
        self.address = client_address(scope, settings.MYAGENT_TRUSTED_PROXIES)
        self._scope = scope
        self._headers = headers
        self._receive = receive
        self._send = send
        self._port = port
        self._others = others
        self._outbox = Outbox(send, settings.MYAGENT_OUTBOX_BYTES)
        self._rate = TokenBucket(
            settings.MYAGENT_MESSAGES_PER_SECOND, settings.MYAGENT_MESSAGE_BURST
        )
        self._bad_frames = 0
        self._refused_frames = 0
        self._closing: tuple[int, str] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # What a session sees of the socket.

    def push(self, logged: Logged) -> bool:
        return self._outbox.push(logged)

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        return self._outbox.push_text(session_id, run_id, step, offset, text)

    def push_frame(self, frame: str) -> None:
        self._outbox.push_frame(frame)
        if self._outbox.is_overfull:
            self.close_slow()

    async def room(self) -> None:
        await self._outbox.room()

    def close(self, code: int, frame: str) -> None:
        if self._closing is None:
            self._closing = (code, frame)
            for task in self._tasks:
                task.cancel()

    def close_slow(self) -> None:
        self.close(CloseCode.SLOW_READER, frames.error(self.lang, "slow_client"))

    # Looks from the connections' pulse.

    def beat(self, now: float) -> None:
        """Says a word after silence; gives up on a reader that does not read."""
        if self._outbox.stalled_for_s() > settings.MYAGENT_SLOW_CLIENT_S:
            self.close_slow()
        elif now - self._outbox.last_sent_at >= settings.MYAGENT_HEARTBEAT_S:
            self._outbox.push_frame(frames.heartbeat())

    # The socket's life.

    async def run(self) -> None:
        """From the handshake to the end."""
        await self._receive()
        await self._send({"type": "websocket.accept"})
        refusal = self._refusal()
        if refusal is not None:
            await self._say_goodbye(*refusal)
            return
        self._others.add(self)
        try:
            await self._talk()
        finally:
            self._others.remove(self)
            self._port.detach(self)

    def _refusal(self) -> tuple[int, str] | None:
        """Why this client may not come in."""
        server = self._scope.get("server") or ("", 0)
        is_allowed = origin_is_allowed(
            _text(self._headers.get(b"origin")),
            _text(self._headers.get(b"host")) or "",
            settings.MYAGENT_ALLOWED_ORIGINS,
            is_open_on_loopback=is_loopback(str(server[0])),
        )
        if not is_allowed:
            return CloseCode.ORIGIN_NOT_ALLOWED, frames.error(self.lang, "forbidden")
        if not self._others.has_room(self.address):
            sentence = "too_many_connections"
            frame = frames.error(self.lang, "rate_limited", sentence=sentence)
            return CloseCode.TOO_MANY, frame
        return None

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        self._outbox.push_frame(frames.connected(self.lang, self.connection_id, self._others.name))
        reader = loop.create_task(self._read())
        writer = loop.create_task(self._outbox.run())
        self._tasks = [reader, writer]
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, SocketGone):
                logger.error("socket_failed", exc_info=result)
                self.close(1011, frames.error(self.lang, "internal_error"))
        if self._closing is not None:
            await self._say_goodbye(*self._closing)

    async def _say_goodbye(self, code: int, frame: str) -> None:
        """What still waits, the reason, the close frame.

        A slow reader gets the last two at once: it resumes from the log. `is_last`
        tells our own server not to wait for the peer to read.
        """
        try:
            if code != CloseCode.SLOW_READER:
                await self._drain()
            await self._send({"type": "websocket.send", "text": frame, "is_last": True})
            await self._send({"type": "websocket.close", "code": code})
        except (OSError, RuntimeError, SocketGone) as error:
            logger.debug("goodbye_not_delivered", error=repr(error))

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._outbox.drain()
        except TimeoutError:
            logger.debug("peer_does_not_read", connection_id=self.connection_id)

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            await self._take(message.get("text"))

    async def _take(self, text: str | None) -> None:
        if not self._rate.take():
            self._refuse_for_rate(text or "")
            return
        self._refused_frames = 0
        try:
            if text is None:
                raise ProtocolError("invalid_event", is_frame_error=True)
            event = protocol.parse(text)
        except ProtocolError as error:
            self._explain(error)
            return
        self._bad_frames = 0
        await self._do(event)

    async def _do(self, event: ClientEvent) -> None:
        session_id = None if isinstance(event, CreateSession) else event.session_id
        try:
            match event:
                case CreateSession():
                    await self._port.create(self, event)
                case Reconnect():
                    await self._port.attach(self, event.session_id, event.metadata.last_seq)
                case Detach():
                    self._port.detach(self, event.session_id)
                case _:
                    await self._port.send(self, event)
        except Refused as error:
            self._say_refused(error.code, session_id, error.message_id)
        except Exception:
            logger.exception("event_failed", event_kind=event.event)
            self._error("internal_error", session_id=session_id)

    def _say_refused(self, code: ErrorCode, session_id: str | None, message_id: str | None) -> None:
        frame = frames.error(self.lang, code, session_id=session_id, message_id=message_id)
        if code == "moved":
            self.close(CloseCode.GOING_AWAY, frame)
        else:
            self.push_frame(frame)

    def _explain(self, error: ProtocolError) -> None:
        sentence = (
            "invalid_event_frame" if error.code == "invalid_event" and not error.detail else ""
        )
        frame = frames.error(self.lang, error.code, sentence=sentence, detail=error.detail)
        self._bad_frames = self._bad_frames + 1 if error.is_frame_error else 0
        if self._bad_frames < MOST_BAD_FRAMES:
            self.push_frame(frame)
            return
        self.push_frame(frame)
        last = frames.error(self.lang, error.code, sentence="protocol_abuse")
        self.close(CloseCode.PROTOCOL_ABUSE, last)

    def _refuse_for_rate(self, text: str) -> None:
        self._refused_frames += 1
        if self._refused_frames > MOST_REFUSED_FRAMES:
            self.close(CloseCode.TOO_MANY, frames.error(self.lang, "rate_limited"))
            return
        session_id, message_id = _names_in(text)
        self._say_refused("rate_limited", session_id, message_id)

    def _error(self, code: ErrorCode, *, session_id: str | None = None) -> None:
        self.push_frame(frames.error(self.lang, code, session_id=session_id))


GOODBYE_S = 2.0

MOST_NAMED = 8 * 1024
"""Characters of a refused frame up to which it is worth reading what it was about."""


def _names_in(text: str) -> tuple[str | None, str | None]:
    """The session and the message that a refused frame names, if it is short and valid."""
    if len(text) > MOST_NAMED:
        return None, None
    try:
        event = protocol.parse(text)
    except ProtocolError:
        return None, None
    session_id = None if isinstance(event, CreateSession) else event.session_id
    return session_id, event.metadata.message_id if isinstance(event, UserMessage) else None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


async def refuse(
    scope: Scope, receive: Receive, send: Send, code: int, sentence: ErrorCode
) -> None:
    """Accepts a socket and closes it with a reason: browsers see no other refusal."""
    headers = headers_of(scope)
    accepted = headers.get(b"accept-language", b"").decode("latin-1")
    await receive()
    await send({"type": "websocket.accept"})
    frame = frames.error(choose(accept_language=accepted), sentence)
    await send({"type": "websocket.send", "text": frame})
    await send({"type": "websocket.close", "code": code})
