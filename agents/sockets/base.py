"""What the sockets of all dialects have in common once a client is in: reading, limits, closing.

Longer than other modules: a consumer is one class to Channels, and these share its state.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from abc import abstractmethod
from collections.abc import Awaitable, Mapping
from typing import Any

import structlog
from django.conf import settings

from agents import metrics
from agents.directory import Facts
from agents.log.entry import Logged
from agents.ports import Refused
from agents.runtime.base_path import path_within
from agents.runtime.edge import headers_of
from agents.runtime.limits import TokenBucket
from agents.sockets.arrival import Arrival
from agents.sockets.handshake import (
    PRINCIPAL,
    SERVER,
    Host,
    Receive,
    Scope,
    Send,
    address_of,
    client_counted_as,
    facts_of,
    language_of,
    services_named,
)
from agents.sockets.lanes import Lanes, Work
from agents.sockets.outbox import Outbox, SocketGone, waiting_here
from agents.sockets.strictness import Strictness
from agents.transients import Problem, Transient
from myagent.protocol import CloseCode, ErrorCode, ProtocolError

logger = structlog.get_logger(__name__)

GOODBYE_S = 2.0
"""Seconds that a peer has to read the queued frames."""


class SocketConsumer(Arrival):
    """One socket: a Channels consumer, and an `agents.ports.Socket`.

    A dialect defines what a frame asks for (`take`) and how events are rendered (`push` and similar
    methods, `render_problem`). Requests are carried out in `lanes`, so that reading goes on while
    one waits.
    """

    inbox_row: int | None = None

    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        self.scope = scope
        self.base_send = send
        headers = headers_of(scope)
        self.connection_id = str(uuid.uuid4())
        self.attached: dict[str, Any] = {}
        self.replaying = asyncio.Lock()
        self.lang = language_of(scope, headers)
        self.principal = scope[PRINCIPAL]
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
        self._strictness = Strictness(
            TokenBucket(settings.MYAGENT_MESSAGES_PER_SECOND, settings.MYAGENT_MESSAGE_BURST)
        )
        self._address_counted_as: str | None = None
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

    @abstractmethod
    def render_problem(self, problem: Problem) -> str:
        """The frame of a problem."""

    def refuse_for_rate(self, text: str) -> None:
        """Answers a frame above the rate limit."""
        self.say_refused("rate_limited", **self._rate_words())

    def _rate_words(self) -> dict[str, Any]:
        """What is said besides the code about a frame above the rate limit."""
        return {
            "limit": "messages_per_second",
            "retry_after_s": math.ceil(self._strictness.rate.wait_s),
        }

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
            "path": path_within(self.scope),
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
            await self.say_goodbye(*self._closing)

    async def say_goodbye(self, code: int, problem: Problem | None) -> None:
        """Sends the queued frames as well.

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
        if not self._strictness.is_within_rate():
            if self._strictness.is_flooded:
                self.close(CloseCode.TOO_MANY, Problem(self.lang, "rate_limited"))
            else:
                self.refuse_for_rate(text or "")
            return
        try:
            if text is None:
                raise ProtocolError("invalid_event", is_frame_error=True)
            await self.take(text)
        except ProtocolError as error:
            self._explain(error)

    async def carry_out(self, lane: str, text: str, work: Work) -> bool:
        """Starts a request in its lane. False: too much waits there already."""
        self._strictness.note_usable()
        if not self.lanes.has_room(lane):
            return False
        await self.lanes.take(lane, len(text), work)
        return True

    def _explain(self, error: ProtocolError) -> None:
        sentence = (
            "invalid_event_frame" if error.code == "invalid_event" and not error.detail else ""
        )
        problem = Problem(self.lang, error.code, sentence, error.detail)
        if self._strictness.bears(is_frame_error=error.is_frame_error):
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
        metrics.REFUSED.labels(code).inc()
        problem = Problem(self.lang, code, session_id=session_id, message_id=message_id, **words)
        if code == "moved":
            self._part_with(problem)
        else:
            self.answer(problem)
