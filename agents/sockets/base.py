"""What the sockets of all dialects have in common: handshake, reading, limits, closing.

Longer than other modules: a consumer is one class to Channels, and these share its state.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from typing import Any

import structlog
from channels.consumer import AsyncConsumer
from django.conf import settings

from agents.directory import Facts
from agents.log.entry import Logged
from agents.ports import Refused
from agents.principals import Principal, may_use_service
from agents.runtime.edge import headers_of
from agents.runtime.limits import TokenBucket
from agents.sockets.handshake import (
    PRINCIPAL,
    REFUSAL,
    SERVER,
    VISITOR,
    Host,
    Receive,
    Refusal,
    Scope,
    Send,
    Visitor,
    address_of,
    client_counted_as,
    facts_of,
    language_of,
    services_named,
    subprotocol_for,
)
from agents.sockets.lanes import Lanes, Work
from agents.sockets.outbox import Outbox, SocketGone, waiting_here
from agents.transients import Problem, Transient
from myagent.protocol import CloseCode, ErrorCode, ProtocolError

logger = structlog.get_logger(__name__)

MOST_BAD_FRAMES = 3
"""Consecutive unusable frames that close a socket."""

MOST_REFUSED_FRAMES = 100
"""Frames above the rate limit that close a socket; each frame within it makes up for one.

Not those in a row: a busy server reads so slowly that a flood has a frame within the limit now and
then.
"""

GOODBYE_S = 2.0
"""Seconds that a peer has to read the queued frames."""


class SocketConsumer(AsyncConsumer, ABC):  # type: ignore[misc]
    """One socket: a Channels consumer, and an `agents.ports.Socket`.

    It deviates from Channels in one point: `__call__` has a receive loop of its own. That of
    Channels dispatches messages by name, manages database connections in a thread before each, and
    waits for the channel layer besides the client, which takes 265 µs per frame; this loop takes
    60. Nothing here uses the database on the event loop, and the layer sends nothing to single
    sockets.

    A dialect defines what a frame asks for (`take`) and how events are rendered (`push` and similar
    methods, `render_problem`). Requests are carried out in `lanes`, so that reading goes on while
    one waits. `has_heartbeat`: whether `keep_warm` sends something, so that our own server needs no
    pings to notice a dead peer.
    """

    has_heartbeat = True
    inbox_row: int | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The socket, from the handshake to the end."""
        host: Host = scope[SERVER]
        refusal = scope.get(REFUSAL) or self.refusal(scope)
        address = address_of(scope)
        is_counted = refusal is None and host.connections.enter(address)
        if refusal is None and not is_counted:
            refusal = Refusal(CloseCode.TOO_MANY, "rate_limited", "too_many_connections")
        try:
            self.open(scope, receive, send, host)
            await self._welcome(refusal, receive, host)
        finally:
            if is_counted:
                host.connections.leave(address)

    async def _welcome(self, refusal: Refusal | None, receive: Receive, host: Host) -> None:
        scope = self.scope
        await receive()
        subprotocol = subprotocol_for(scope)
        accept = {"type": "websocket.accept", "subprotocol": subprotocol}
        await self.send(accept | {"has_heartbeat": self.has_heartbeat})
        # After the handshake, for which servers have short time-outs: an agent may take long to
        # load.
        refusal = refusal or await host.admit(None) or await self._identify()
        if refusal is None and self.service is not None:
            refusal = await host.admit(self.service)
        if refusal is not None:
            logger.debug("connection_refused", address=address_of(scope), why=refusal.problem)
            problem = Problem(self.lang, refusal.problem, refusal.sentence, refusal.detail)
            await self._say_goodbye(refusal.close_code, problem)
            return
        await self.run()

    async def _identify(self) -> Refusal | None:
        """Learns who the client is, if it has to prove that."""
        visitor: Visitor | None = self.scope.get(VISITOR)
        if visitor is not None and (refusal := await self.identify(visitor)) is not None:
            return refusal
        if self.service is not None and not may_use_service(self.principal, self.service):
            return Refusal(CloseCode.ORIGIN_NOT_ALLOWED, "forbidden", "forbidden_service")
        return None

    async def identify(self, visitor: Visitor) -> Refusal | None:
        """Sets `principal`, or returns why the client is refused."""
        return await visitor.identify(self)

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why this client is refused, or None. Nothing is recorded yet."""
        if len(services_named(scope)) > 1:
            return Refusal(CloseCode.NO_SUCH_SERVICE, "no_service")
        return None

    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        """Prepares the socket for frames."""
        self.scope = scope
        self.base_send = send
        headers = headers_of(scope)
        self.connection_id = str(uuid.uuid4())
        self.attached: dict[str, Any] = {}
        self.replaying = asyncio.Lock()
        self.lang = language_of(scope, headers)
        self.principal: Principal | None = scope[PRINCIPAL]
        self.service = next(iter(services_named(scope)), None)
        self.port = host.port
        self.lanes = Lanes(self.read)
        self.outbox = Outbox(
            send,
            settings.MYAGENT_OUTBOX_CHARACTERS,
            self.render_text,
            waiting=waiting_here(),
        )
        self.others = host.connections
        self._receive = receive
        self._rate = TokenBucket(
            settings.MYAGENT_MESSAGES_PER_SECOND, settings.MYAGENT_MESSAGE_BURST
        )
        self._address_counted_as: str | None = None
        self._bad_frames = 0
        self._refused_frames = 0
        self._closing: tuple[int, Problem | None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def host(self) -> Host:
        """The server. Not an attribute of its own: there are thousands of sockets."""
        host: Host = self.scope[SERVER]
        return host

    # To be defined by a dialect.

    @abstractmethod
    async def take(self, text: str) -> None:
        """Starts the frame's request in its lane.

        Raises `ProtocolError` if the frame is unusable; then nothing is done.
        """

    @abstractmethod
    def push(self, logged: Logged) -> bool: ...

    @abstractmethod
    def push_text(
        self, session_id: str, run_id: str, step: int, offset: int, text: str
    ) -> bool: ...

    @abstractmethod
    def tell(self, transient: Transient) -> None: ...

    def answer(self, problem: Problem) -> None:
        """Tells the client what is wrong with its frame."""
        self.tell(problem)

    @abstractmethod
    def greet(self) -> None:
        """Called once the client is in, before anything else is pushed."""

    @abstractmethod
    def keep_warm(self) -> None:
        """Called after a silence."""

    @staticmethod
    @abstractmethod
    def render_text(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
        """The frame of partial text."""

    @staticmethod
    @abstractmethod
    def render_problem(problem: Problem) -> str:
        """The frame of a problem."""

    def refuse_for_rate(self, text: str) -> None:
        """Answers a frame above the rate limit."""
        self.say_refused("rate_limited", **self._rate_words())

    def _rate_words(self) -> dict[str, Any]:
        """What is said besides the code about a frame above the rate limit."""
        return {"limit": "messages_per_second", "retry_after_s": math.ceil(self._rate.wait_s)}

    # The interface for sessions and for the pulse of the connections.

    @property
    def why_not_forwarded(self) -> str:
        return "only_events"

    @property
    def counted_as(self) -> str:
        if self.principal is not None:
            return self.principal.key
        if self._address_counted_as is None:
            self._address_counted_as = client_counted_as(self.scope, None)
        return self._address_counted_as

    def facts(self, metadata: Mapping[str, Any]) -> Facts:
        return facts_of(self.scope, self.principal, metadata)

    async def room(self) -> None:
        await self.outbox.room()

    def close(self, code: int, problem: Problem | None) -> None:
        """With no problem, the client learns the code alone."""
        if self._closing is None:
            self._closing = (code, problem)
            for task in self._tasks:
                task.cancel()

    def lose(self, session_id: str, code: ErrorCode = "moved") -> None:
        self._part_with(Problem(self.lang, code, session_id=session_id))

    def _part_with(self, problem: Problem) -> None:
        """The session is not available here: tells the client, which then resumes it.

        A socket without another session is closed, so that the client may find another server.
        """
        if self.attached:
            self.tell(problem)
        else:
            self.close(CloseCode.GOING_AWAY, problem)

    def close_slow(self) -> None:
        self.close(CloseCode.SLOW_READER, Problem(self.lang, "slow_client"))

    def beat(self, now: float) -> None:
        """Sends a heartbeat after silence; closes the socket of a peer that does not read."""
        if self.outbox.stalled_for_s() > settings.MYAGENT_SLOW_CLIENT_S:
            self.close_slow()
        elif now - self.outbox.last_sent_at >= settings.MYAGENT_HEARTBEAT_S:
            self.keep_warm()

    # The socket's life.

    async def run(self) -> None:
        """Serves the client until either side closes."""
        self.others.add(self)
        began = time.monotonic()
        logger.debug("connected", **self._names(), address=address_of(self.scope))
        try:
            await self._talk()
        finally:
            seconds = round(time.monotonic() - began, 1)
            logger.debug("disconnected", **self._names(), seconds=seconds)
            self.others.remove(self)
            self.port.detach(self)
            self.outbox.close()

    def _names(self) -> dict[str, str | None]:
        """For the log."""
        return {
            "connection_id": self.connection_id,
            "path": self.scope["path"],
            "service": self.service,
        }

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        self.greet()
        reader = loop.create_task(self.lanes.run())
        writer = loop.create_task(self.outbox.run())
        self._tasks = [reader, writer]
        if self._closing is not None:
            # Its proof has expired before it was in.
            writer.cancel()
            reader.cancel()
        try:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            # Requests of a client that has left are still carried out; `close` ends that early.
            await asyncio.wait([reader])
        finally:
            for task in self._tasks:
                task.cancel()
            results = await asyncio.gather(*self._tasks, return_exceptions=True)
            # They and the socket refer to each other.
            self._tasks = []
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, SocketGone):
                logger.error("socket_failed", exc_info=result)
                self.close(CloseCode.GOING_AWAY, Problem(self.lang, "internal_error"))
        if self._closing is not None:
            await self._say_goodbye(*self._closing)

    async def _say_goodbye(self, code: int, problem: Problem | None) -> None:
        """Sends the queued frames, the reason, and the close frame.

        A slow reader gets the last two at once: it resumes from the log. `is_last` tells our own
        server not to wait for the peer to read.
        """
        try:
            if code != CloseCode.SLOW_READER:
                await self._drain()
            if problem is not None:
                text = self.render_problem(problem)
                await self.send({"type": "websocket.send", "text": text, "is_last": True})
            await self.send({"type": "websocket.close", "code": code})
        except (OSError, RuntimeError, SocketGone) as error:
            logger.debug("goodbye_not_delivered", error=repr(error))

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self.outbox.drain()
        except TimeoutError:
            logger.debug("peer_does_not_read", connection_id=self.connection_id)

    async def read(self) -> None:
        """Reads what the client says until it leaves, or until another task reads on."""
        while self.lanes.is_reader:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("is_flood"):
                # Our own server counts control frames and fragments.
                self.close(CloseCode.TOO_MANY, Problem(self.lang, "rate_limited"))
                return
            await self._admit(message.get("text"))

    async def _admit(self, text: str | None) -> None:
        """Lets a frame through if it is within the rate limit."""
        if not self._rate.take():
            self._refused_frames += 1
            if self._refused_frames > MOST_REFUSED_FRAMES:
                self.close(CloseCode.TOO_MANY, Problem(self.lang, "rate_limited"))
            else:
                self.refuse_for_rate(text or "")
            return
        self._refused_frames = max(0, self._refused_frames - 1)
        try:
            if text is None:
                raise ProtocolError("invalid_event", is_frame_error=True)
            await self.take(text)
        except ProtocolError as error:
            self._explain(error)

    async def carry_out(self, lane: str, text: str, work: Work) -> bool:
        """Starts a request in its lane. False: too much waits there already."""
        self._bad_frames = 0
        if not self.lanes.has_room(lane):
            return False
        await self.lanes.take(lane, len(text), work)
        return True

    def _explain(self, error: ProtocolError) -> None:
        sentence = (
            "invalid_event_frame" if error.code == "invalid_event" and not error.detail else ""
        )
        problem = Problem(self.lang, error.code, sentence, error.detail)
        self._bad_frames = self._bad_frames + 1 if error.is_frame_error else 0
        if self._bad_frames < MOST_BAD_FRAMES:
            self.answer(problem)
        else:
            self.close(CloseCode.PROTOCOL_ABUSE, problem)

    # What dialects share.

    async def attempt(self, asked: Awaitable[object], session_id: str | None) -> bool:
        """Awaits a client's request. False: it was not done, and the client was told why."""
        try:
            await asked
        except Refused as error:
            self.say_refused(error.code, session_id, error.message_id, **error.words)
        except Exception:
            logger.exception("event_failed")
            self.say_refused("internal_error", session_id)
        else:
            return True
        return False

    def say_refused(
        self,
        code: ErrorCode,
        session_id: str | None = None,
        message_id: str | None = None,
        **words: Any,
    ) -> None:
        """`words`: `sentence`, `detail`, `limit` and `retry_after_s`, as for `Problem`."""
        logger.debug(
            "refused",
            connection_id=self.connection_id,
            code=code,
            session_id=session_id,
            message_id=message_id,
        )
        problem = Problem(self.lang, code, session_id=session_id, message_id=message_id, **words)
        if code == "moved":
            self._part_with(problem)
        else:
            self.answer(problem)
