"""The ASGI server of `runagent` and `serve`: uvicorn, with sockets that no peer can hold open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from agents.runtime import long_answers
from agents.runtime.garbage import SeldomCollected
from agents.runtime.http.admission import Admission, Bounds
from agents.runtime.http.requests import BoundedHttp
from agents.runtime.http.sockets import BoundedWebSocket
from agents.runtime.leaving import Leaving
from agents.runtime.listening import BACKLOG, take_connections

HARD_FRAME_LIMIT = 1024 * 1024
"""Bytes of an incoming frame above which the server itself closes the socket."""

TICKS_A_LOOK = 10
"""Ticks of uvicorn, a tenth of a second each, between two checks for garbage collection."""


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
        self._leaving = Leaving(leave, self._exit)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._prepare is not None:
            await self._prepare()
        if self._leaving.task is not None:
            await asyncio.wait([self._leaving.task])
            return
        for listener in sockets or ():
            # Done here: uvloop would close a socket at which it can't listen, and say nothing.
            take_connections(listener)
        await super().startup(sockets)
        if self.started:
            self._say_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with self._leaving.at_signals():
            yield

    @property
    def is_leaving(self) -> bool:
        return self._leaving.task is not None

    def begin_to_leave(self) -> None:
        self._leaving.begin()

    def stop_listening(self) -> None:
        """Takes no new connection; those that are open stay. May be called twice."""
        for server in self.servers:
            server.close()

    def _exit(self) -> None:
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


class Configuration(uvicorn.Config):
    """`admission`: counts the connections of all servers of the process."""

    def __init__(self, app: Any, *, admission: Admission, **options: Any) -> None:
        super().__init__(app, **options)
        self.admission = admission


def configuration(app: Any, *, is_debug: bool, admission: Admission | None = None) -> Configuration:
    return Configuration(
        app,
        admission=admission or Admission(Bounds()),
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
        backlog=BACKLOG,
    )
