"""Clients of external services: their frames pass through the site, both ways.

Nothing of it is in the log. The client's limits hold as for any other; what either side does not
read, the other can't send.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import structlog
from django.conf import settings
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agents.directory import Listed
from agents.runtime.edge import headers_of
from agents.sockets import upstream
from agents.sockets.base import SocketConsumer
from agents.sockets.events import EventsConsumer
from agents.sockets.strictness import MOST_BAD_FRAMES
from agents.transients import Connected, Problem
from myagent.protocol import CloseCode
from myagent.protocol.client_events import read_object

logger = structlog.get_logger(__name__)

DIAL_S = 5.0
"""Seconds that an external service has to take a client."""

PRIVATE_CODES = range(4000, 5000)
"""Close codes that a service may choose, and that its client sees."""


class EventsDoor(EventsConsumer):
    """A socket of the events dialect, to the sessions of this server or to an external service."""

    _forwarded: ForwardedSocket | None = None

    def close(self, code: int, problem: Problem | None) -> None:
        # Whoever let the client in knows this socket only.
        if self._forwarded is None:
            super().close(code, problem)
        else:
            self._forwarded.close(code, problem)

    async def run(self) -> None:
        external = self.host.external(self.service)
        if external is None:
            await super().run()
            return
        forwarded = ForwardedSocket(external)
        forwarded.open(self.scope, self._receive, self.base_send, self.host)
        forwarded.principal = self.principal
        if self._closing is not None:
            forwarded.close(*self._closing)
        self._forwarded = forwarded
        await forwarded.run()


class ForwardedSocket(EventsConsumer):
    """A client's socket, and the one to the external service that is opened for it.

    They end together.
    """

    def __init__(self, external: Listed) -> None:
        self._external = external
        self._upstream: ClientConnection
        self._pumping: asyncio.Task[None] | None = None
        self._is_first = True
        self._bad_in_a_row = 0

    async def run(self) -> None:
        """Serves the client until either side closes, or the service is stopped."""
        if not self._external.is_expected or upstream.is_forwarded(headers_of(self.scope)):
            await self.say_goodbye(CloseCode.NO_SERVICE_AVAILABLE, self._unavailable())
            return
        try:
            self._upstream = await upstream.dial(self._external.url, DIAL_S, lang=self.lang)
        except upstream.FAILURES as error:
            # Its health checks tell the operator: clients may be many.
            logger.debug("external_not_reached", service=self._external.name, error=repr(error))
            await self.say_goodbye(CloseCode.NO_SERVICE_AVAILABLE, self._unavailable())
            return
        try:
            with self.others.forwarding(self._external.name):
                await super().run()
        finally:
            await self._let_go()

    def greet(self) -> None:
        self.tell(Connected(self.lang, self.connection_id, self.others.name))
        # From now on: what the service says comes after the greeting.
        self._pumping = asyncio.get_running_loop().create_task(self._pump())

    def beat(self, now: float) -> None:
        SocketConsumer.beat(self, now)
        present = self.host.external(self.service)
        if present is None or not present.is_expected or present.url != self._external.url:
            self._lose_service()

    # From the client to the service.

    async def take(self, text: str) -> None:
        read_object(text)
        self._strictness.note_usable()
        try:
            async with asyncio.timeout(settings.MYAGENT_SLOW_CLIENT_S):
                await self._upstream.send(text)
        except TimeoutError:
            logger.warning("external_does_not_read", service=self._external.name)
            self._lose_service()
        except ConnectionClosed:
            # The reader of the service closes the client's socket.
            await self._pumped()

    # From the service to the client.

    async def _pump(self) -> None:
        """Reads the service as fast as the client reads."""
        try:
            while True:
                frame = await self._upstream.recv()
                while not self.outbox.has_room():
                    await self.outbox.room()
                self._pass_on(frame)
        except ConnectionClosed:
            self._close_with(self._upstream.close_code)
        except Exception:
            logger.exception("forwarding_failed", service=self._external.name)
            self.close(CloseCode.GOING_AWAY, Problem(self.lang, "internal_error"))

    def _pass_on(self, frame: str | bytes) -> None:
        kind = _kind_of(frame)
        is_greeting, self._is_first = self._is_first and kind == "system.connected", False
        if kind is None:
            self._bad_in_a_row += 1
            if self._bad_in_a_row == MOST_BAD_FRAMES:
                logger.warning("external_sends_no_events", service=self._external.name)
                self._lose_service()
            return
        self._bad_in_a_row = 0
        # The client was greeted already, with the id of its own connection.
        if not is_greeting:
            self.outbox.add_frame(str(frame))

    def _close_with(self, code: int | None) -> None:
        """Closes the client's socket as the service closed its own."""
        if code is not None and (code == CloseCode.NORMAL or code in PRIVATE_CODES):
            self.close(code, None)
        else:
            logger.warning("external_gone", service=self._external.name, code=code)
            self._lose_service()

    def _lose_service(self) -> None:
        self.close(CloseCode.NO_SERVICE_AVAILABLE, self._unavailable())

    def _unavailable(self) -> Problem:
        return Problem(self.lang, "service_unavailable")

    # The end.

    async def _pumped(self) -> None:
        if self._pumping is not None:
            await asyncio.wait([self._pumping])

    async def _let_go(self) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
            await asyncio.gather(self._pumping, return_exceptions=True)
        await upstream.hang_up(self._upstream)


def _kind_of(frame: str | bytes) -> str | None:
    """The kind of an event in a text frame; None if there is none in it."""
    if isinstance(frame, bytes):
        return None
    try:
        data: Any = orjson.loads(frame)
    except ValueError:
        return None
    kind = data.get("event") if isinstance(data, dict) else None
    return kind if isinstance(kind, str) else None
