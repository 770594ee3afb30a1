"""How clients of all dialects come in: counted, greeted or refused, before their first frame."""

from __future__ import annotations

from abc import ABC, abstractmethod

import structlog
from channels.consumer import AsyncConsumer

from agents.principals import Principal, may_use_service
from agents.sockets.handshake import (
    REFUSAL,
    SERVER,
    VISITOR,
    Host,
    Receive,
    Refusal,
    Scope,
    Send,
    Visitor,
    address_of,
    services_named,
    subprotocol_for,
)
from agents.transients import Problem
from myagent.protocol import CloseCode

logger = structlog.get_logger(__name__)


class Arrival(AsyncConsumer, ABC):  # type: ignore[misc]
    """A Channels consumer up to the point where the client is in.

    It deviates from Channels in one point: `__call__` leads to a receive loop of its own. That of
    Channels dispatches messages by name, manages database connections in a thread before each, and
    waits for the channel layer besides the client, which takes 265 µs per frame; this loop takes
    60. Nothing here uses the database on the event loop, and the layer sends nothing to single
    sockets.

    `has_heartbeat`: whether the socket sends something after a silence, so that our own server
    needs no pings to notice a dead peer.
    """

    has_heartbeat = True
    lang: str
    service: str | None
    principal: Principal | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The socket, from the handshake to the end."""
        host: Host = scope[SERVER]
        refusal = scope.get(REFUSAL) or self.refusal(scope)
        address = address_of(scope)
        is_counted = refusal is None and host.connections.enter(address)
        if refusal is None and not is_counted:
            refusal = Refusal(CloseCode.TOO_MANY, "rate_limited", "too_many_connections")
        try:
            self.open(scope, receive, send, host)
            await self._welcome(refusal, receive, host)
        finally:
            if is_counted:
                host.connections.leave(address)

    # The rest of the socket.

    @abstractmethod
    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        """Prepares the socket for frames; sets what is declared above."""

    @abstractmethod
    async def run(self) -> None:
        """Serves the client until either side closes."""

    @abstractmethod
    async def say_goodbye(self, code: int, problem: Problem | None) -> None:
        """Sends the reason, if there is one, and the close frame."""

    # May be extended by a dialect.

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why this client is refused, or None. Nothing is recorded yet."""
        if len(services_named(scope)) > 1:
            return Refusal(CloseCode.NO_SUCH_SERVICE, "no_service")
        return None

    async def identify(self, visitor: Visitor) -> Refusal | None:
        """Sets `principal`, or returns why the client is refused."""
        return await visitor.identify(self)

    # Internals.

    async def _welcome(self, refusal: Refusal | None, receive: Receive, host: Host) -> None:
        scope = self.scope
        await receive()
        subprotocol = subprotocol_for(scope)
        accept = {"type": "websocket.accept", "subprotocol": subprotocol}
        await self.send(accept | {"has_heartbeat": self.has_heartbeat})
        # After the handshake, for which servers have short time-outs: an agent may take long to
        # load.
        refusal = refusal or await host.admit(None) or await self._identify()
        if refusal is None and self.service is not None:
            refusal = await host.admit(self.service)
        if refusal is not None:
            logger.debug("connection_refused", address=address_of(scope), why=refusal.problem)
            problem = Problem(self.lang, refusal.problem, refusal.sentence, refusal.detail)
            await self.say_goodbye(refusal.close_code, problem)
            return
        await self.run()

    async def _identify(self) -> Refusal | None:
        """Learns who the client is, if it has to prove that."""
        visitor: Visitor | None = self.scope.get(VISITOR)
        if visitor is not None and (refusal := await self.identify(visitor)) is not None:
            return refusal
        if self.service is not None and not may_use_service(self.principal, self.service):
            return Refusal(CloseCode.ORIGIN_NOT_ALLOWED, "forbidden", "forbidden_service")
        return None
