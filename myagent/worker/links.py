"""A link: the connection of a server, or of the supervisor, as the worker sees it."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol, cast

from myagent.worker.codec import decode_from_server, encode
from myagent.worker.forks import leave_to_parent
from myagent.worker.framing import FrameReader, FrameTooLarge, framed
from myagent.worker.protocol import (
    VERSION,
    FromServer,
    FromWorker,
    Hello,
    LinkError,
    Unfit,
)
from myagent.worker.runs import Run

HELLO_TIMEOUT_S = 10.0
"""How long who dials may be silent before it says `Hello`."""

HIGH_WATER_BYTES = 64 * 1024
"""Unread by the other end: above it text gathers with its runs instead of here."""

MAX_UNREAD_BYTES = 64 * 1024 * 1024
"""Unread by the other end: above it the link is cut."""

logger = logging.getLogger(__name__)


class Host(Protocol):
    """What a link needs of the worker's server."""

    def connected(self, link: Link) -> None:
        """Somebody has dialled; over TCP, a server of the site."""

    def opened(self, link: Link) -> None:
        """It has said a `Hello` of our version; the answer is the host's."""

    def heard(self, link: Link, message: FromServer) -> None:
        """A message of an opened link."""

    def closed(self, link: Link) -> None:
        """It has ended, opened or not."""


class Link(asyncio.Protocol):
    """Its methods belong to the loop. `runs` are those whose frames go over it."""

    def __init__(self, host: Host) -> None:
        self.is_congested = False
        self.runs: set[Run] = set()
        self.peer: Hello | None = None
        self.lag_ms = 0.0
        """The loop's worst lag since this link asked for a report."""
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._unsent: list[bytes] = []
        self._is_closed = False
        self._transport: asyncio.Transport
        self._silence: asyncio.TimerHandle

    def send(self, message: FromWorker) -> None:
        """Sends the message when the loop comes round, together with others.

        Raises `FrameTooLarge`, and what a value that has no JSON raises.
        """
        frame = framed(encode(message))
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent.append(frame)

    def flush(self) -> None:
        """Sends now what is to be sent."""
        data, self._unsent = b"".join(self._unsent), []
        if self._is_closed or not data:
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            logger.warning("link_not_read peer=%r", self._name)
            self.cut()

    def fileno(self) -> int:
        """The connection's number; -1 once it is closed."""
        return cast(int, self._transport.get_extra_info("socket").fileno())

    def hang_up(self) -> None:
        """Ends the link once what was sent is out."""
        self.flush()
        self._is_closed = True
        self._transport.close()

    def cut(self) -> None:
        """Ends the link at once."""
        self._is_closed = True
        self._transport.abort()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        leave_to_parent(self)
        self._silence = self._loop.call_later(HELLO_TIMEOUT_S, self._refuse, "it said no Hello")
        self._host.connected(self)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                if self._is_closed:
                    return
                self._take(decode_from_server(frame))
        except (LinkError, FrameTooLarge) as error:
            self._refuse(str(error))

    def pause_writing(self) -> None:
        self.is_congested = True

    def resume_writing(self) -> None:
        self.is_congested = False
        for run in list(self.runs):
            run.on_writable()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closed = True
        self._silence.cancel()
        for run in list(self.runs):
            run.leave()
        self._host.closed(self)

    # Inside.

    @property
    def _name(self) -> str:
        return self.peer.peer if self.peer else ""

    def _take(self, message: FromServer) -> None:
        if isinstance(message, Hello) == (self.peer is not None):
            raise LinkError("a link begins with a Hello, and has but one")
        if not isinstance(message, Hello):
            self._host.heard(self, message)
            return
        self._silence.cancel()
        if message.version != VERSION:
            logger.warning("link_unfit peer=%r version=%d", message.peer, message.version)
            self.send(Unfit(VERSION))
            self.hang_up()
            return
        self.peer = message
        logger.debug("link_opened peer=%r role=%s", message.peer, message.role)
        self._host.opened(self)

    def _refuse(self, reason: str) -> None:
        logger.warning("link_refused peer=%r reason=%r", self._name, reason)
        self.cut()
