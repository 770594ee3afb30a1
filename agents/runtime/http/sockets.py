"""Reads and writes frames: uvicorn's protocol, limited so that no peer can block or overload it."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import OPEN

from agents.runtime.http import refused_handshakes
from agents.runtime.http.requests import cut_off_when_silent
from agents.runtime.limits import TokenBucket

LINGER_S = 10.0
"""Seconds that a peer has to read the last frames before it is cut off."""

PIECE = 2 * 1024
"""Bytes that are parsed at once: some 300 of the smallest frames, which take a few milliseconds."""

FRAMES_PER_SECOND = 50.0
"""Control frames and small fragments per second that a peer may send over time.

Messages are counted by the application.
"""

FRAME_BURST = 500
"""Number of such frames that a peer may send at once."""

SMALL_FRAGMENT = 1024
"""Fragments of at least this many bytes are not counted: the message size limits their number."""

FRAMES_AFTER_CLOSE = 100
"""Frames that are read while waiting for the peer's answer to a close frame."""

DEAF_S = 1.0
"""Seconds that a peer whose frames are no longer read has to read the reason."""

MESSAGES_IN_A_ROW = 8
"""Waiting messages that are handed over before other sockets get their turn."""

INVALID_TEXT = 1007


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """Sends the last frames without waiting for a reader, and never lingers for one.

    Incoming data is parsed in pieces of `PIECE` bytes, and the next piece only after the messages
    of the previous one were taken. Control frames and fragments count against a rate. Above the
    rate nothing more is read, and the application is told by a message with `is_flood`, so that it
    can close the socket with a reason.

    `open_now`: the number of sockets in the process, over all its servers. A closed socket is freed
    at once, because it leaves no reference cycle.

    An application that sets `has_heartbeat` when it accepts gets no pings, which are a tenth of the
    work where most sockets are silent.
    """

    open_now = 0
    # Most sockets never need instance values of these.
    _has_heartbeat = False
    _is_flooded = False
    _is_deaf = False
    _unread: memoryview | bytes = b""
    _rate: TokenBucket | None = None
    _frames_after_close = 0
    _had_waited = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = refused_handshakes.replaced(self.conn, self.config.ws_max_size)

    # Callbacks of the transport.

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        BoundedWebSocket.open_now += 1

    def connection_lost(self, exc: Exception | None) -> None:
        BoundedWebSocket.open_now -= 1
        self._unread = b""
        super().connection_lost(exc)
        # A running generator is referred to by its creator and refers to it.
        self.conn.parser.close()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        if len(data) <= PIECE or not self.handshake_initiated:
            self._parse(data)
        else:
            self._unread = memoryview(data)
            self.transport.pause_reading()
            self._read_on()

    # Reading. The transport is paused while messages (`read_paused`) or bytes (`_unread`) wait.

    def _read_on(self) -> None:
        """Parses a piece of the waiting data, and the next one after other sockets had their turn.

        The connection may have been closed meanwhile.
        """
        if self.transport.is_closing():
            self._unread = b""
        is_within_frame = True
        while self._unread and is_within_frame:
            piece, self._unread = self._unread[:PIECE], self._unread[PIECE:]
            kept = len(self.conn.reader.buffer) + len(piece)
            self._parse(piece)
            is_within_frame = len(self.conn.reader.buffer) == kept
        if not self.read_paused:
            self._go_on()

    def _go_on(self) -> None:
        if self._unread:
            self.loop.call_soon(self._read_on)
        elif not self._is_flooded and not self.transport.is_closing():
            self.transport.resume_reading()

    def _parse(self, data: memoryview | bytes) -> None:
        super().data_received(data)  # type: ignore[arg-type]
        # The base class answers a handshake that is too large, but does not send the answer.
        if self.conn.handshake_exc is not None and not self.close_sent:
            self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_text(self, event: Frame) -> None:
        if not event.fin:
            self._count_fragment(event)
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        if not event.fin:
            self._count_fragment(event)
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        self._count_fragment(event)
        if not self.frames:
            return  # The message was dropped.
        # One piece of memory, however many fragments there are.
        if not isinstance(self.frames[0], bytearray):
            self.frames[0] = bytearray(self.frames[0])  # type: ignore[call-overload]
        self.frames[0] += event.data
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        (data,), self.frames = self.frames, []
        if self.close_sent:
            self._count()
        elif self._is_flooded:
            return
        elif self.curr_msg_data_type == "bytes":
            self._hand_over({"type": "websocket.receive", "bytes": bytes(data)})
        else:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                self._fail(INVALID_TEXT)
            else:
                self._hand_over({"type": "websocket.receive", "text": text})

    def _hand_over(self, message: Any) -> None:
        self.queue.put_nowait(message)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def receive(self) -> Any:
        """Cancelling is safe."""
        if not self.queue.empty():
            self._had_waited += 1
            if self._had_waited % MESSAGES_IN_A_ROW == 0:
                await asyncio.sleep(0)
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._go_on()
        return message

    # Control frames and fragments.

    def handle_ping(self) -> None:
        self._count()
        answer = b"".join(self.conn.data_to_send())
        # A peer that does not read gets no answer: it would wait in memory.
        if self.writable.is_set():
            self.transport.write(answer)

    def handle_pong(self, event: Frame) -> None:
        if self.pending_ping_payload is None or bytes(event.data) != self.pending_ping_payload:
            self._count()
        else:
            super().handle_pong(event)

    def _count_fragment(self, event: Frame) -> None:
        if len(event.data) < SMALL_FRAGMENT:
            self._count()

    def _count(self) -> None:
        """Counts a control frame or a small fragment: too many of them are a flood."""
        if self._is_flooded or self._is_deaf:
            return
        if self.close_sent:
            self._frames_after_close += 1
            if self._frames_after_close > FRAMES_AFTER_CLOSE:
                self._stop_reading()
            return
        if self._rate is None:
            self._rate = TokenBucket(FRAMES_PER_SECOND, FRAME_BURST)
        if not self._rate.take():
            self._is_flooded = True
            self._unread = b""
            self._hand_over({"type": "websocket.receive", "is_flood": True})

    # Writing, and ending the connection.

    async def send(self, message: Any) -> None:
        if message.get("is_last") or message["type"] == "websocket.close":
            self.writable.set()
        self._has_heartbeat = self._has_heartbeat or bool(message.get("has_heartbeat"))
        await super().send(message)
        if message["type"] == "websocket.accept":
            # The response to the handshake is no longer needed.
            del self.request, self.response
        elif self.close_sent and (self._unread or self._is_flooded):
            # The peer's close frame comes after more data than is worth reading.
            self._stop_reading()

    def start_keepalive(self) -> None:
        # A lost peer is noticed by data that it does not take: by the kernel, where possible.
        if not (self._has_heartbeat and cut_off_when_silent(self.transport)):
            super().start_keepalive()

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            # A closing transport waits for its buffer to be sent: for a dead peer, forever.
            self.loop.call_later(LINGER_S, self.transport.abort)

    def _fail(self, code: int) -> None:
        if self.conn.state is OPEN:
            self.conn.send_close(code)
        if self.conn.close_sent is not None:
            self.handle_parser_exception()

    def _stop_reading(self) -> None:
        """Stops reading for good; the peer has a moment to read why."""
        self._is_deaf = True
        self._unread = b""
        if not self.transport.is_closing():
            self.transport.pause_reading()
        self.loop.call_later(DEAF_S, self.transport.abort)
