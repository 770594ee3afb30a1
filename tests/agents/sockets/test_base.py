"""What the sockets of every dialect do alike."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any, cast

import pytest

from agents.ports import SessionPort
from agents.sockets.base import SocketConsumer
from agents.sockets.chat.consumer import ChatConsumer
from agents.sockets.events import EventsConsumer
from agents.sockets.handshake import VISITOR, Client, Refusal
from agents.transients import Problem
from tests.agents.hosting import Hosting, scope_at, visitor

PATIENCE_S = 30

DIALECTS = pytest.mark.parametrize("dialect", [EventsConsumer, ChatConsumer])


class Nobody:
    """A port at which nothing is asked for."""

    def detach(self, socket: Any, session_id: str | None = None) -> None:
        pass


class Caller:
    """The server's side of a client that comes and leaves."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.sent: list[dict[str, Any]] = []
        self.is_in = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        self.is_in.set()

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect"})

    async def visit(self, socket: SocketConsumer) -> None:
        path = "/ws/chat/ann" if isinstance(socket, ChatConsumer) else "/"
        scope = scope_at(path, host=Hosting(cast(SessionPort, Nobody())))
        await socket(scope, self.incoming.get, self.send)


@DIALECTS
async def test_a_socket_that_has_left_is_free_without_a_garbage_collection(
    dialect: type[SocketConsumer],
) -> None:
    caller = Caller()
    gc.collect()
    gc.disable()
    try:
        socket = dialect()
        is_free = asyncio.Event()
        weakref.finalize(socket, is_free.set)
        life = asyncio.create_task(caller.visit(socket))
        del socket
        caller.leave()
        async with asyncio.timeout(PATIENCE_S):
            await life
            del life
            await is_free.wait()
    finally:
        gc.enable()


class Starting(Hosting):
    """A server that is not ready yet."""

    def __init__(self) -> None:
        super().__init__(cast(SessionPort, Nobody()))
        self.is_ready = asyncio.Event()
        self.asked = 0

    async def admit(self, service: str | None) -> Refusal | None:
        self.asked += 1
        await self.is_ready.wait()
        return None


async def test_an_address_has_no_more_sockets_than_it_may_while_the_server_starts(
    settings: Any,
) -> None:
    settings.MYAGENT_CONNECTIONS_PER_ADDRESS = 2
    host = Starting()
    visitors = [visitor(EventsConsumer, host=host) for _ in range(5)]
    for one in visitors:
        await one.connect(PATIENCE_S)
    for refused in visitors[2:]:
        await refused.receive_from(PATIENCE_S)
        assert (await refused.receive_output(PATIENCE_S))["code"] == 4029
        await refused.wait(PATIENCE_S)
    host.is_ready.set()
    for served in visitors[:2]:
        await served.disconnect(timeout=PATIENCE_S)
    again = visitor(EventsConsumer, host=host)
    await again.connect(PATIENCE_S)
    await again.disconnect(timeout=PATIENCE_S)
    assert host.asked == 3, "who has left makes room"


class Expiring:
    """A client whose proof is good, and expires at once."""

    has_proof = True

    async def identify(self, client: Client, token: str | None = None) -> None:
        client.close(4001, Problem("en", "unauthenticated"))


async def test_a_socket_whose_proof_expires_before_it_is_in_is_closed() -> None:
    client = visitor(EventsConsumer, host=Hosting(cast(SessionPort, Nobody())))
    client.scope[VISITOR] = Expiring()
    await client.connect(PATIENCE_S)
    while (message := await client.receive_output(PATIENCE_S))["type"] != "websocket.close":
        last = message
    assert '"unauthenticated"' in last["text"]
    assert message["code"] == 4001
    await client.wait(PATIENCE_S)
