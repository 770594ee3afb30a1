"""The open sockets of this process: counted, kept alive, and disconnected when it stops."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import structlog
from django.conf import settings

from agents.runtime.edge import counted_as
from agents.runtime.http.admission import Admission, Bounds
from agents.runtime.limits import AddressLimit
from agents.transients import Notice, Problem, Transient
from myagent.protocol import CloseCode

logger = structlog.get_logger(__name__)

LEAST_ROUND_S = 1.0
"""Seconds in which the pulse visits every socket, unless settings allow more time."""

STEPS = 20
"""Steps of a round of the pulse: none blocks the event loop for long, however many there are."""


class Open(Protocol):
    """An open socket, as `Connections` sees it."""

    connection_id: str
    lang: str
    scope: dict[str, Any]

    def beat(self, now: float) -> None:
        """Called periodically: sends a heartbeat after silence, drops a peer that does not read."""

    def tell(self, transient: Transient) -> None: ...

    def close(self, code: int, problem: Problem) -> None: ...


class Connections:
    """The open sockets; `name` is the server's name. One pulse serves all, a few at a time.

    `admission`: of connections that are not sockets yet. `forwarded`: the number of sockets of each
    external service.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.forwarded: Counter[str] = Counter()
        self.changes = 0
        """Grows with every socket that comes or goes."""
        self._open: dict[str, Open] = {}
        self.admission = Admission(_bounds())
        self._addresses = AddressLimit()
        self._pulse: asyncio.Task[None] | None = None
        self._one_has_left = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, address: str) -> bool:
        """Counts one that comes from there, until `leave`. False: it is one too many."""
        counted = counted_as(address, settings.MYAGENT_TRUSTED_PROXIES)
        if counted is None:
            return True
        if not self._addresses.has_room(counted, settings.MYAGENT_CONNECTIONS_PER_ADDRESS):
            return False
        self._addresses.enter(counted)
        return True

    def leave(self, address: str) -> None:
        counted = counted_as(address, settings.MYAGENT_TRUSTED_PROXIES)
        if counted is not None:
            self._addresses.leave(counted)

    def add(self, consumer: Open) -> None:
        self._open[consumer.connection_id] = consumer
        self.changes += 1
        if self._pulse is None:
            self._pulse = asyncio.get_running_loop().create_task(self._beat())

    def remove(self, consumer: Open) -> None:
        del self._open[consumer.connection_id]
        self.changes += 1
        self._one_has_left.set()

    @property
    def present(self) -> Mapping[str, Any]:
        """The open sockets, by id."""
        return self._open

    @contextmanager
    def forwarding(self, service: str) -> Iterator[None]:
        """Counts a socket of an external service."""
        self.forwarded[service] += 1
        try:
            yield
        finally:
            self.forwarded[service] -= 1
            if not self.forwarded[service]:
                del self.forwarded[service]

    def announce_drain(self) -> None:
        self._tell_all(lambda each: each.tell(Notice(each.lang, "draining")))

    async def send_away(self, is_meant: Callable[[Open], bool], grace_s: float = 3.0) -> None:
        """Tells some clients to reconnect and waits, for a limited time, until they are gone."""

        def send(consumer: Open) -> None:
            if is_meant(consumer):
                problem = Problem(consumer.lang, "service_unavailable", sentence="draining")
                consumer.close(CloseCode.GOING_AWAY, problem)

        self._tell_all(send)
        try:
            async with asyncio.timeout(grace_s):
                while any(map(is_meant, self._open.values())):
                    self._one_has_left.clear()
                    await self._one_has_left.wait()
        except TimeoutError:
            pass  # They are disconnected when the server ends.

    async def close(self, grace_s: float = 3.0) -> None:
        """Tells all clients to reconnect and waits until they are gone."""
        await self.send_away(lambda consumer: True, grace_s)
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)
            self._pulse = None

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # By id: a socket that closes meanwhile is freed at once.
            pause_s, everybody = _round_s() / STEPS, list(self._open)
            for step in range(STEPS):
                await asyncio.sleep(pause_s)
                some = (self._open[each] for each in everybody[step::STEPS] if each in self._open)
                self._tell(some, lambda each: each.beat(loop.time()))

    def _tell_all(self, tell: Callable[[Open], None]) -> None:
        self._tell(list(self._open.values()), tell)

    def _tell(self, some: Iterable[Open], tell: Callable[[Open], None]) -> None:
        """A failure of one socket is logged and does not affect the others."""
        for consumer in some:
            try:
                tell(consumer)
            except Exception:
                logger.exception("socket_not_told", connection_id=consumer.connection_id)


def _bounds() -> Bounds:
    return Bounds(
        headers_s=settings.MYAGENT_HEADERS_TIMEOUT_S,
        body_s=settings.MYAGENT_BODY_TIMEOUT_S,
        connections=settings.MYAGENT_CONNECTIONS_PER_ADDRESS,
        trusted_proxies=settings.MYAGENT_TRUSTED_PROXIES,
    )


def _round_s() -> float:
    """Seconds of a round: an eighth of the shortest time that the pulse has to notice."""
    noticed_s: float = min(settings.MYAGENT_HEARTBEAT_S, settings.MYAGENT_SLOW_CLIENT_S)
    return max(LEAST_ROUND_S, noticed_s / 8)
