"""A request to a session, as a connection without a network."""

from __future__ import annotations

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agents.directory import Facts
from agents.log.entry import Logged
from agents.ports import Refused
from agents.principals import Principal, key_of
from agents.sockets.handshake import Host, Refusal, Scope, client_counted_as, facts_of
from agents.transients import Notice, Problem, Repeated, Transient
from myagent.protocol import ErrorCode

MOST_CALLS = 1_000
"""Requests of a process that are under way at once."""

MOST_OF_ONE = 100
"""Those of one principal: others have to find room as well."""

_under_way: Counter[str] = Counter()
"""The requests under way, by the keys of their principals."""


class Call(ABC):
    """An `agents.ports.Socket`, and an open connection of the server, until `leave`.

    So what holds for sockets holds for requests: who may, limits, the end of the server. Its
    methods belong to the event loop, and return at once.
    """

    service: str | None = None
    inbox_row: int | None = None
    why_not_forwarded = "only_events"

    def __init__(self, host: Host, scope: Scope, lang: str, principal: Principal | None) -> None:
        self.scope = scope
        self.lang = lang
        self.principal = principal
        self.connection_id = str(uuid.uuid4())
        self.attached: dict[str, Any] = {}
        self.replaying = asyncio.Lock()
        self.host = host
        self._has_left = False

    @abstractmethod
    def push(self, logged: Logged) -> bool: ...

    @abstractmethod
    def push_text(
        self, session_id: str, run_id: str, step: int, offset: int, text: str
    ) -> bool: ...

    @abstractmethod
    def tell(self, transient: Transient) -> None: ...

    @abstractmethod
    async def room(self) -> None: ...

    @abstractmethod
    def close(self, code: int, problem: Problem) -> None: ...

    @abstractmethod
    def beat(self, now: float) -> None: ...

    @property
    def counted_as(self) -> str:
        return client_counted_as(self.scope, self.principal)

    def facts(self, metadata: Mapping[str, Any]) -> Facts:
        return facts_of(self.scope, self.principal, metadata)

    def lose(self, session_id: str, code: ErrorCode = "moved") -> None:
        self.close(0, Problem(self.lang, code, session_id=session_id))

    async def enter(self, service: str | None = None) -> None:
        """Becomes one of the server's connections. Raises `Refused`."""
        key = key_of(self.principal)
        if _under_way.total() >= MOST_CALLS or (key and _under_way[key] >= MOST_OF_ONE):
            raise Refused("service_unavailable", sentence="too_many_requests")
        _under_way[key] += 1
        self.host.connections.add(self)
        try:
            refusal = await self.host.admit(service)
            if refusal is not None:
                raise refused_as(refusal)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Leaves the sessions and the server; what runs goes on. May be called twice."""
        if self._has_left:
            return
        self._has_left = True
        key = key_of(self.principal)
        _under_way[key] -= 1
        if not _under_way[key]:
            del _under_way[key]
        self.host.connections.remove(self)
        self.host.port.detach(self)


class NothingRuns(Exception):
    """There is nothing to cancel."""


def refused_as(refusal: Refusal) -> Refused:
    """A refused connection as a refused request."""
    return Refused(refusal.problem, sentence=refusal.sentence, detail=refusal.detail)


class WaitingCall(Call):
    """Keeps nothing but the entries that are waited for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._waits: list[tuple[Callable[[Logged], bool], asyncio.Future[Logged]]] = []
        self.has_repeated = False
        """Whether the message had been accepted before."""

    @contextmanager
    def waits_for(self, is_meant: Callable[[Logged], bool]) -> Iterator[asyncio.Future[Logged]]:
        """The first entry from now on that is meant; fails with `Refused` or `NothingRuns`."""
        found: asyncio.Future[Logged] = asyncio.get_running_loop().create_future()
        wait = (is_meant, found)
        self._waits.append(wait)
        try:
            yield found
        finally:
            self._waits.remove(wait)
            if not found.cancel() and not found.cancelled():
                found.exception()  # Somebody has to look at it.

    def push(self, logged: Logged) -> bool:
        for is_meant, found in self._waits:
            if not found.done() and is_meant(logged):
                found.set_result(logged)
        return True

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        return True

    def tell(self, transient: Transient) -> None:
        match transient:
            case Repeated():
                self.has_repeated = True
                self.push(transient.original)
            case Problem():
                self._fail(_as_refused(transient))
            case Notice(code="not_running"):
                self._fail(NothingRuns())

    async def room(self) -> None:
        """There always is."""

    def close(self, code: int, problem: Problem) -> None:
        self._fail(_as_refused(problem))

    def beat(self, now: float) -> None:
        """Whoever waits sees an open connection."""

    def _fail(self, error: Exception) -> None:
        for _, found in self._waits:
            if not found.done():
                found.set_exception(error)


def _as_refused(problem: Problem) -> Refused:
    return Refused(problem.code, message_id=problem.message_id, **problem.words)
