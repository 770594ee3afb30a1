"""The ASGI server inside `runagent`: uvicorn, with sockets that can't be held open by a peer."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from agents import long_answers

logger = structlog.get_logger(__name__)

HARD_FRAME_LIMIT = 1024 * 1024
"""Bytes of an incoming frame above which the server itself closes the socket."""

LINGER_S = 10.0
"""Seconds that a peer has to read the last frames before it is cut off."""


FIRST_REQUEST_S = 10.0
"""Seconds that a new connection has to send a request."""


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """Sends last words without waiting for a reader, and never lingers for one."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # A handshake that is too large to be read is answered, but not sent, by the base.
        if self.conn.handshake_exc is not None and not self.close_sent:
            self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def send(self, message: Any) -> None:
        if message.get("is_last") or message["type"] == "websocket.close":
            self.writable.set()
        await super().send(message)

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            # A closing transport waits for its buffer to empty: for a dead peer, forever.
            self.loop.call_later(LINGER_S, self.transport.abort)


class BoundedHttp(HttpToolsProtocol):
    """Waits only so long for a connection's first request."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(FIRST_REQUEST_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        # An upgraded connection has another protocol by now.
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.close()


class Server(uvicorn.Server):
    """Calls `ready` once it listens, and `leave` at the first signal, before it shuts down.

    A second signal makes `leave` hurry: it is cancelled. `prepare` is awaited
    before it listens; it must return when `leave` is called meanwhile.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        ready: Callable[[], None],
        leave: Callable[[], Awaitable[None]],
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(config)
        self.servers = []
        self._prepare = prepare
        self._say_ready = ready
        self._leave = leave
        self._leaving: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._prepare is not None:
            await self._prepare()
        if self._leaving is not None:
            await asyncio.wait([self._leaving])
            return
        await super().startup(sockets)
        if self.started:
            self._say_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        long_answers.end_all()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.begin_to_leave)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    @property
    def is_leaving(self) -> bool:
        return self._leaving is not None

    def begin_to_leave(self) -> None:
        if self._leaving is None:
            self._leaving = asyncio.get_running_loop().create_task(self._leave_and_exit())
        else:
            self._leaving.cancel()

    def stop_listening(self) -> None:
        """Takes no new connection; those that are open stay. May be called twice."""
        for server in self.servers:
            server.close()

    async def _leave_and_exit(self) -> None:
        try:
            await self._leave()
        except Exception:
            logger.exception("leaving_failed")
        finally:
            self.should_exit = True


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The fast loop, where the platform has it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def configuration(app: Any, *, is_debug: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedHttp,
        ws=BoundedWebSocket,
        ws_max_size=HARD_FRAME_LIMIT,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=is_debug,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        backlog=2048,
    )
