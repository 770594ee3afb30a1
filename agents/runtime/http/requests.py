"""Reads requests: uvicorn's protocol, with size limits and a deadline for every request."""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agents.runtime.edge import counted_as
from agents.runtime.http.admission import Admission
from agents.runtime.http.heads import Head, TooLarge
from agents.runtime.http.safe_headers import SAFE_LINES

logger = structlog.get_logger(__name__)

PIECE = 4 * 1024
"""Bytes that are parsed at once; the limits are checked between two pieces."""

MOST_UNREAD = 1024 * 1024
"""Bytes that may wait behind requests of the same connection that are still being answered."""

GOODBYE_S = 2.0
"""Seconds for which a refused peer may go on sending: cut off at once, it may miss the answer."""

GOODBYE_BYTES = 1024 * 1024
"""Bytes that a refused peer may send meanwhile."""

UNANSWERED_S = 40.0
"""Seconds after which a peer that does not take sent data is given up: the same as for pings."""


class BoundedHttp(HttpToolsProtocol):
    """A connection, from its acceptance until it is lost or upgraded to another protocol.

    Every request has to arrive in time, not only the first: its head within `Bounds.headers_s`, its
    body within `Bounds.body_s`. A single timer checks a deadline that moves, so most requests need
    no timer of their own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._admission: Admission = self.config.admission  # type: ignore[attr-defined]
        self._bounds = self._admission.bounds
        self._address: str | None = None
        self._head = Head()
        self._has_begun = False
        self._has_ended = False
        self._left_bytes = GOODBYE_BYTES
        self._unread = b""
        self._deadline: float | None = None
        self._patience_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # Callbacks of the transport.

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        address = counted_as(peer, self._bounds.trusted_proxies)
        refusal = self._admission.refusal(address, transport.get_extra_info("socket"))
        if refusal is not None:
            self._has_ended = True
            self._write_refusal(refusal)
            transport.close()
            return
        self._address = address
        if address is not None:
            self._admission.enter(address)
        cut_off_when_silent(transport)
        self._expect_within(self._bounds.headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._has_ended:
            self._discard(len(data))
        elif self._unread:
            self._wait_unread(self._unread + data)
        else:
            self._read(data)

    def handle_websocket_upgrade(self) -> None:
        if self.scope["http_version"] != "1.1":
            self._refuse(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The answer to an earlier request would be mixed with this one.
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        self._has_ended = True
        super().handle_websocket_upgrade()
        # The connection has another protocol now: nothing may keep this object alive.
        self._let_go()
        self.parser = None  # type: ignore[assignment]

    # Reading.

    def _read(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            if self.pipeline:
                self._wait_unread(data[start:])
                return
            self._read_piece(data if len(data) <= PIECE else data[start : start + PIECE])
            if self._has_ended:
                return

    def _read_piece(self, piece: bytes) -> None:
        self._head.feed(len(piece))
        try:
            self.parser.feed_data(piece)
            self._head.check()
        except httptools.HttpParserUpgrade:
            self._upgrade()
        except TooLarge:
            self._refuse(self._head.refusal)
        except httptools.HttpParserError as error:
            # The parser does not pass on which exception one of the methods below has raised.
            if not self._head.refusal:
                self._admission.say_unusable(self.client, error)
            self._refuse(self._head.refusal or HTTPStatus.BAD_REQUEST)

    def _upgrade(self) -> None:
        if self._should_upgrade():
            self.handle_websocket_upgrade()
        else:
            # It is answered as if it had asked for nothing; what follows may be anything.
            self._has_ended = True
            self.cycle.keep_alive = False

    def _wait_unread(self, data: bytes) -> None:
        """Data after requests that are still being answered is parsed once they are answered."""
        self._unread = data
        self.flow.pause_reading()
        if len(data) > MOST_UNREAD:
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._has_begun:
            # The next request has begun to arrive, and has a deadline of its own.
            self._unset_keepalive_if_required()
        if self.pipeline:
            self.flow.pause_reading()
        elif self._unread:
            self.flow.pause_reading()
            self.loop.call_soon(self._read_unread)

    def _read_unread(self) -> None:
        data, self._unread = self._unread, b""
        if self._has_ended or self.transport.is_closing():
            return
        self._read(data)
        if not self._unread and not self.pipeline:
            self.flow.resume_reading()

    # Callbacks of the parser. An exception in them stops the parser.

    def on_message_begin(self) -> None:
        self._unset_keepalive_if_required()
        super().on_message_begin()
        self._head = Head()
        self._has_begun = True
        self._expect_within(self._bounds.headers_s)

    def on_url(self, url: bytes) -> None:
        self._head.add_address(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head.add_header(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head.progress()
        self._expect_within(self._bounds.body_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head.progress()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head.progress()
        self._has_begun = False
        self._deadline = None
        super().on_message_complete()

    # Deadlines.

    def _expect_within(self, seconds: float) -> None:
        """The rest, up to `on_message_complete`, has to arrive within this many seconds."""
        self._patience_s = seconds
        self._deadline = self.loop.time() + seconds
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._look)
        elif self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self.flow.read_paused:
            # It may have sent everything: reading is paused.
            self._expect_within(self._patience_s)
        elif (left_s := self._deadline - self.loop.time()) > 0:
            self._timer = self.loop.call_later(left_s, self._look)
        elif self._has_ended:
            self.transport.abort()
        elif self._has_begun:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    # Ending the connection.

    def _refuse(self, status: int) -> None:
        """Answers, unless another answer is being sent, and stops reading the request."""
        self._has_ended = True
        self._unread = b""
        self._unset_keepalive_if_required()
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self._write_refusal(status)
            if self.transport.can_write_eof():
                self.transport.write_eof()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.pipeline.clear()
        self.flow.resume_reading()
        self._expect_within(GOODBYE_S)

    def _discard(self, size: int) -> None:
        self._left_bytes -= size
        if self._left_bytes < 0:
            self.transport.abort()

    def _write_refusal(self, status: int) -> None:
        phrase = HTTPStatus(status).phrase
        body = f"{phrase}\n".encode()
        self.transport.write(
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n".encode()
            + SAFE_LINES
            + b"\r\n"
            + body
        )

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._address is not None:
            self._admission.leave(self._address)
            self._address = None


def cut_off_when_silent(transport: asyncio.BaseTransport) -> bool:
    """Makes the kernel cut off a peer that takes no data for `UNANSWERED_S`; False if it can't."""
    connection = transport.get_extra_info("socket")
    if connection is None or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return False
    try:
        milliseconds = int(UNANSWERED_S * 1000)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    except OSError as error:
        logger.debug("peer_not_watched", error=str(error))
        return False
    return True
