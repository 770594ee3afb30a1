"""The ASGI server of `runagent` and `serve`: uvicorn, with sockets that no peer can hold open."""

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

from agents.runtime import long_answers
from agents.runtime.garbage import SeldomCollected

logger = structlog.get_logger(__name__)

HARD_FRAME_LIMIT = 1024 * 1024
"""Bytes of an incoming frame above which the server itself closes the socket."""

LINGER_S = 10.0
"""Seconds that a peer has to read the last frames before it is cut off."""


LEAVE_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a server in order; SIGHUP means that its terminal was closed."""

FIRST_REQUEST_S = 10.0
"""Seconds that a new connection has to send a request."""

UNANSWERED_S = 40.0
"""Seconds after which a peer that does not acknowledge data counts as gone: as for pings."""

TICKS_A_LOOK = 10
"""Ticks of uvicorn, a tenth of a second each, between two checks whether to collect garbage."""


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """Sends its last frames without waiting for the peer to read them.

    `open_now`: the number of open sockets in the process, of all its servers. A closed one is
    freed at once: it leaves no reference cycle.

    An application that sets `has_heartbeat` as it accepts gets no pings: where most sockets are
    idle, these are a tenth of the work.
    """

    open_now = 0
    _has_heartbeat = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        BoundedWebSocket.open_now += 1

    def connection_lost(self, exc: Exception | None) -> None:
        BoundedWebSocket.open_now -= 1
        super().connection_lost(exc)
        # A running generator and its creator refer to each other.
        self.conn.parser.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # The base class prepares the answer to a handshake that is too large, but does not send it.
        if self.conn.handshake_exc is not None and not self.close_sent:
            self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    async def send(self, message: Any) -> None:
        if message.get("is_last") or message["type"] == "websocket.close":
            self.writable.set()
        self._has_heartbeat = self._has_heartbeat or bool(message.get("has_heartbeat"))
        await super().send(message)
        if message["type"] == "websocket.accept":
            # The handshake's data is not needed any more.
            del self.request, self.response

    def start_keepalive(self) -> None:
        # A dead peer is noticed when it is sent something: by the kernel, where it can.
        if not (self._has_heartbeat and _is_watched(self.transport)):
            super().start_keepalive()

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            # A closing transport waits until its buffer is empty: forever, if the peer is dead.
            self.loop.call_later(LINGER_S, self.transport.abort)


def _is_watched(transport: asyncio.Transport) -> bool:
    """Has the kernel drop a peer that acknowledges nothing; False if it can't."""
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


class BoundedHttp(HttpToolsProtocol):
    """Limits the time until a connection's first request."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._patience = self.loop.call_later(FIRST_REQUEST_S, self._close_if_silent)

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        # The connection has another protocol now: this one is to be freed.
        self._patience.cancel()
        self.parser = None  # type: ignore[assignment]

    def _close_if_silent(self) -> None:
        if self.cycle is None:
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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in LEAVE_SIGNALS:
            loop.add_signal_handler(number, self.begin_to_leave)
        try:
            yield
        finally:
            for number in LEAVE_SIGNALS:
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


class MainServer(Server):
    """A server that owns its process: it also controls garbage collection and long responses."""

    _garbage = SeldomCollected()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._garbage.begin()

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_A_LOOK == 0:
            self._garbage.look(BoundedWebSocket.open_now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._garbage.end()
        long_answers.end_all()
        await super().shutdown(sockets)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop, on platforms that have it."""
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
