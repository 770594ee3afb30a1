"""Services' own addresses, beside `/services/NAME/`: ports that `serve` listens on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any

import structlog
from django.utils.translation import gettext_noop

from agents.runtime import background
from agents.runtime.http.admission import Admission
from agents.runtime.listening import CannotListen, listen_meanwhile
from agents.runtime.server import Server, configuration
from agents.sockets.connections import Connections
from agents.sockets.handshake import OWN_DOOR
from myagent.sentence import Said
from services.telling import kept, told

logger = structlog.get_logger(__name__)

Address = tuple[str, int]
Scope = dict[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

CAME_BY = "myagent.own_port"
"""In a scope: the own port that the client used, so that it can be disconnected with it."""

RETRY_S = 1.0
"""Seconds until a port that could not be opened is tried again."""

FAILED = gettext_noop("The server could not open the port. Its log has the details.")

CLOSED_LOOK_S = 0.01
"""Seconds between two checks whether the event loop has released a listening socket."""

SHUTDOWN_S = 10.0
"""Seconds that a server has for its shutdown, which normally takes less."""


class Door(Server):
    """A server beside the main one, or in an embedding program: it does not handle signals."""

    def __init__(self, application: Application, admission: Admission) -> None:
        self._is_open = asyncio.Event()
        super().__init__(
            configuration(application, is_debug=False, admission=admission),
            ready=self._is_open.set,
            leave=_nothing,
        )

    async def serve_until(
        self,
        leaving: asyncio.Event,
        listener: socket.socket,
        *,
        send_away: Callable[[], Awaitable[None]],
    ) -> None:
        """Serves until the event is set or it fails; then it is closed, within a limited time.

        Once the port is closed, `send_away` disconnects the clients that used it; the rest is cut
        off. Cancelling is safe, and cuts off at once.
        """
        serving = asyncio.get_running_loop().create_task(self.serve(sockets=[listener]))
        try:
            await _first(serving, self._is_open.wait())
            await _first(serving, leaving.wait())
            if not serving.done():
                await self._let_go(listener)
                await send_away()
                self.should_exit = True
                await asyncio.wait([serving], timeout=SHUTDOWN_S)
        finally:
            await background.end([serving])
            # A failed server has not closed it: the loop would mistake the next listener for this
            # one.
            self.stop_listening()
            listener.close()
        if not serving.cancelled():
            serving.result()

    async def _let_go(self, listener: socket.socket) -> None:
        """Closes the port and waits until the system has released it, which some loops delay."""
        self.stop_listening()
        listener.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_S):
                while listener.fileno() != -1:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(CLOSED_LOOK_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _nothing() -> None:
    """Does nothing: the owner of the signals handles the shutdown."""


async def _first(task: asyncio.Task[Any], other: Awaitable[Any]) -> None:
    """Waits for the event or the task, which goes on. Cancelling is safe."""
    waiting = asyncio.ensure_future(other)
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


class OwnPorts:
    """The services' own ports; its methods belong to the event loop.

    A port stays open while workers come and go. One that can't be opened is tried again as long as
    it is wanted. Clients in `connections` that used a port which is closed are disconnected.
    """

    def __init__(self, application: Application, connections: Connections) -> None:
        self._application = application
        self._connections = connections
        self._ports: dict[tuple[str, Address], _OwnPort] = {}
        self._leaving: set[_OwnPort] = set()
        self._has_closed = False

    def follow(self, wanted: Mapping[str, Address]) -> None:
        """Opens ports that are wanted and closes others, without waiting for either.

        After `close`, nothing is opened.
        """
        keys = set() if self._has_closed else set(wanted.items())
        for key in self._ports.keys() - keys:
            self._let_go(self._ports.pop(key))
        for service, address in keys - self._ports.keys():
            # A port that moves to another service is closed before it is opened again.
            former = [port for port in self._leaving if port.address[1] == address[1]]
            self._ports[service, address] = _OwnPort(
                service, address, self._application, self._connections, former
            )

    def report(self) -> dict[str, str]:
        """Why each service's port is not open, as `services.telling` stores it; empty if it is."""
        return {service: port.trouble for (service, _), port in self._ports.items()}

    async def close(self) -> None:
        """Closes all of them, in a bounded time. May be called twice."""
        self._has_closed = True
        self.follow({})
        if self._leaving:
            await asyncio.wait([port.task for port in self._leaving])

    def _let_go(self, port: _OwnPort) -> None:
        self._leaving.add(port)
        port.task.add_done_callback(lambda _: self._leaving.discard(port))
        port.leave()


class _OwnPort:
    """One port, from when it is wanted until it is closed. `former`: its previous owner.

    `trouble`: why it is not open; empty if it is. `is_free`: set once it no longer blocks another.
    """

    def __init__(
        self,
        service: str,
        address: Address,
        application: Application,
        connections: Connections,
        former: Collection[_OwnPort],
    ) -> None:
        self.address = address
        self.trouble = ""
        self.is_free = asyncio.Event()
        self._service = service
        self._application = application
        self._connections = connections
        self._leaving = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(former))

    def leave(self) -> None:
        self._leaving.set()

    async def _run(self, former: Collection[_OwnPort]) -> None:
        try:
            for each in former:
                await each.is_free.wait()
            while not self._leaving.is_set():
                try:
                    await self._open_and_serve()
                except CannotListen as error:
                    self._note(kept(error.said))
                except Exception:
                    self._note(kept(Said(FAILED)))
                    logger.exception("own_port_failed", service=self._service)
                await self._pause()
        finally:
            self.is_free.set()

    async def _open_and_serve(self) -> None:
        listener = await self._listener()
        if listener is None:
            return
        host, port = self.address
        self.trouble = ""
        logger.info("own_port_opened", service=self._service, host=host, port=port)
        door = Door(self._labelled(), self._connections.admission)
        await door.serve_until(self._leaving, listener, send_away=self._send_away)

    async def _listener(self) -> socket.socket | None:
        """Returns None if it is no longer wanted. Raises `CannotListen`."""
        opening = asyncio.get_running_loop().create_task(listen_meanwhile(*self.address))
        try:
            await _first(opening, self._leaving.wait())
        finally:
            # A slow name lookup is not waited for.
            await background.end([opening])
        return None if opening.cancelled() else opening.result()

    def _labelled(self) -> Application:
        labels = {OWN_DOOR: self._service, CAME_BY: self}

        # A function: uvicorn takes a method for something else.
        async def labelled(scope: Scope, receive: Any, send: Any) -> None:
            await self._application({**scope, **labels}, receive, send)

        return labelled

    async def _send_away(self) -> None:
        self.is_free.set()
        await self._connections.send_away(lambda each: each.scope.get(CAME_BY) is self)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_S):
                await self._leaving.wait()

    def _note(self, trouble: str) -> None:
        """Logs it once, not at every attempt."""
        if trouble != self.trouble:
            self.trouble = trouble
            logger.error("own_port_not_opened", service=self._service, error=told(trouble))
