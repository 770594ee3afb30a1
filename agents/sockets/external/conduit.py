"""A client's socket to an external service: what it says is read as fast as the client reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from django.conf import settings
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agents.directory import Listed
from agents.sockets.external import upstream
from agents.sockets.external.frames import Heard, heard, unambiguous
from agents.sockets.outbox import Outbox
from agents.sockets.strictness import MOST_BAD_FRAMES

logger = structlog.get_logger(__name__)

DIAL_S = 5.0
"""Seconds that an external service has to take a client."""

PassOn = Callable[[str, Heard], Awaitable[bool]]
"""Passes an event on to the client, or not; False: it is none of the dialect."""


class Conduit:
    """`open` first, then `run`; `hang_up` at the end, also if `run` was cancelled."""

    def __init__(self, external: Listed, outbox: Outbox, lang: str) -> None:
        self.external = external
        self._outbox = outbox
        self._lang = lang
        self._socket: ClientConnection

    async def open(self) -> bool:
        """False: the service could not be reached. Cancelling is safe."""
        try:
            self._socket = await upstream.dial(self.external.url, DIAL_S, lang=self._lang)
        except upstream.FAILURES as error:
            # Its health checks tell the operator: clients may be many.
            logger.debug("external_not_reached", service=self.external.name, error=repr(error))
            return False
        return True

    async def run(self, pass_on: PassOn) -> int | None:
        """Reads until the socket ends; the close code of the service, None if it was left.

        The service's greeting is left out: its client was greeted already, with the id of its own
        connection. Frames that are no events are left out as well; some in a row, and the service
        is left. Cancelling is safe.
        """
        try:
            await self._run(pass_on)
        except ConnectionClosed:
            return self._socket.close_code
        except Exception:
            logger.exception("forwarding_failed", service=self.external.name)
        return None

    async def _run(self, pass_on: PassOn) -> None:
        is_first, bad_in_a_row = True, 0
        while bad_in_a_row < MOST_BAD_FRAMES:
            frame = await self._socket.recv()
            while not self._outbox.has_room():
                await self._outbox.room()
            said = heard(frame)
            is_greeting = is_first and said is not None and said.kind == "system.connected"
            is_first = False
            if is_greeting:
                continue
            is_event = said is not None and await pass_on(str(frame), said)
            bad_in_a_row = 0 if is_event else bad_in_a_row + 1
        logger.warning("external_sends_no_events", service=self.external.name)

    async def send(self, text: str) -> bool:
        """False: the service is gone, or does not read and is left."""
        try:
            async with asyncio.timeout(settings.MYAGENT_SLOW_CLIENT_S):
                await self._socket.send(unambiguous(text))
        except TimeoutError:
            logger.warning("external_does_not_read", service=self.external.name)
            self.cut()
            return False
        except ConnectionClosed:
            return False
        return True

    def cut(self) -> None:
        """Leaves the service: `run` ends."""
        self._socket.transport.abort()

    async def hang_up(self) -> None:
        await upstream.hang_up(self._socket)

    def is_expected(self, present: Listed | None) -> bool:
        """Whether the service, as it is listed now, is still the one at the other end."""
        return present is not None and present.is_expected and present.url == self.external.url
