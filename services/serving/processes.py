"""Several server processes with one port: starting, replacing and ending them.

They inherit one listening socket. Hence a process that is dead, frozen or busy takes no clients,
and the others do; sockets of their own on the same port (SO_REUSEPORT) would get their share of
the clients all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from prometheus_client.multiprocess import mark_process_dead

from agents.runtime.leaving import Leaving
from services.serving.child import Child
from services.serving.pauses import Pauses
from services.serving.words import ANNOUNCE, LEAVE, OPEN_OWN_PORTS

logger = structlog.get_logger(__name__)

END_S = 20.0
"""Seconds that the processes have to disconnect their clients and end."""


class NoneStarted(Exception):
    """A process ended before any could serve; its own output says why."""


class ServerProcesses:
    """The parent's view of them. All methods belong to the event loop.

    `command`: see `Child.start`. The listener is closed when they leave. `metrics_dir`: the folder
    of their metrics, if they have one.
    """

    def __init__(
        self,
        count: int,
        command: Sequence[str],
        listener: socket.socket,
        *,
        metrics_dir: str = "",
    ) -> None:
        self._count = count
        self._command = command
        self._listener = listener
        self._metrics_dir = metrics_dir
        self._children: set[Child] = set()
        self._not_ready = set(range(count))
        self._opener: Child | None = None
        self._has_served = False
        self._has_failed = False
        self._is_ending = asyncio.Event()
        self._leaving: Leaving | None = None
        self._ready: Callable[[], None] = lambda: None

    async def serve(
        self, *, ready: Callable[[], None], leave: Callable[[], Awaitable[None]]
    ) -> None:
        """Keeps them running. `ready` is called once all serve for the first time.

        Calls `leave` at the first signal, and cancels it at the second. Raises `NoneStarted`.
        """
        self._ready = ready
        has_left = asyncio.Event()
        self._leaving = Leaving(leave, has_left.set)
        with self._leaving.at_signals():
            try:
                async with asyncio.TaskGroup() as keepers:
                    for place in range(self._count):
                        keepers.create_task(self._keep(place))
                await has_left.wait()
            finally:
                await self.leave(0)
        if self._has_failed:
            raise NoneStarted

    @property
    def is_leaving(self) -> bool:
        return self._leaving is not None and self._leaving.task is not None

    def begin_to_leave(self) -> None:
        """As a signal does."""
        if self._leaving is not None:
            self._leaving.begin()

    def announce(self) -> None:
        """They accept no new work, and tell their clients."""
        self._tell_all(ANNOUNCE)

    async def leave(self, grace_s: float) -> None:
        """Ends them in a bounded time. `grace_s` is for their runs, as in `SiteServer.leave`.

        May be called twice; cancelling kills them.
        """
        self._is_ending.set()
        self._listener.close()
        self._tell_all(LEAVE)
        ends = [asyncio.ensure_future(child.ended()) for child in self._children]
        try:
            if ends:
                await asyncio.wait(ends, timeout=grace_s + END_S)
        finally:
            for child in self._children:
                child.kill()

    async def _keep(self, place: int) -> None:
        """A process in this place, and its successors, until they leave."""
        pauses = Pauses()
        while not self.is_leaving:
            began_at, is_ready = time.monotonic(), False
            try:
                child = await Child.start(self._command, self._listener)
            except OSError as error:
                how = f"A server process could not be started: {error.strerror}."
            else:
                is_ready = await self._attend(child, place)
                how = f"Server process {child.pid} ended ({await child.ended()})."
            if self.is_leaving:
                return
            if not (is_ready or self._has_served):
                logger.error("server_process_ended", error=how)
                self._has_failed = True
                self.begin_to_leave()
                return
            pause_s = pauses.after(time.monotonic() - began_at)
            logger.error("server_process_ended", error=how, replaced_in_s=pause_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._is_ending.wait()

    async def _attend(self, child: Child, place: int) -> bool:
        """From its start to its end; whether it was ready."""
        self._children.add(child)
        if self._is_ending.is_set():
            child.tell(LEAVE)
        if is_ready := await child.becomes_ready():
            self._has_served = True
            self._choose_opener()
            self._note_ready(place)
        await child.ended()
        self._children.discard(child)
        if self._metrics_dir:
            # It has no open sockets any more; what it counted stays.
            mark_process_dead(child.pid, self._metrics_dir)  # type: ignore[no-untyped-call]
        if self._opener is child:
            self._opener = None
            self._choose_opener()
        return is_ready

    def _note_ready(self, place: int) -> None:
        if place in self._not_ready:
            self._not_ready.discard(place)
            if not (self._not_ready or self.is_leaving):
                self._ready()

    def _choose_opener(self) -> None:
        """Only one process can listen on the services' own ports."""
        if self._opener is None and not self.is_leaving:
            self._opener = next((child for child in self._children if child.is_ready), None)
            if self._opener is not None:
                self._opener.tell(OPEN_OWN_PORTS)

    def _tell_all(self, line: bytes) -> None:
        for child in self._children:
            child.tell(line)
