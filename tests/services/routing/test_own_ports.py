"""Services' own ports: opened as soon as they can be had, closed in order, told of when they can't.

Judged from outside: by who can connect, and by what a client is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from agents.runtime.listening import CannotListen
from agents.sockets.connections import Connections
from agents.sockets.handshake import OWN_DOOR
from services.routing import own_ports
from services.routing.own_ports import OwnPorts
from services.telling import told
from tests.ports import free_port

PATIENCE_S = 20.0
HERE = "127.0.0.1"


async def says_whose(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Tells a socket whose door it came through, and waits until it leaves."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope[OWN_DOOR]})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@pytest.fixture
async def ports(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OwnPorts]:
    monkeypatch.setattr(own_ports, "RETRY_S", 0.02)
    ports = OwnPorts(says_whose, Connections("test"))
    yield ports
    await ports.close()


async def whose(port: int, host: str = HERE, *, not_as: str = "") -> str:
    """Whose door it is, as soon as it is one, and not the former's any more."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            # What waits to be accepted when a port is closed is cut off.
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake):
                async with connect(f"ws://{host}:{port}/") as client:
                    if (found := str(await client.recv())) != not_as:
                        return found
            await asyncio.sleep(0.01)


async def until_closed(port: int, host: str) -> None:
    """Waits until nobody listens there."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with connect(f"ws://{host}:{port}/"):
                    pass
            except ConnectionRefusedError:
                return
            except (OSError, InvalidHandshake):
                await asyncio.sleep(0.01)


async def until_free(port: int, host: str = HERE) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                socket.create_server((host, port)).close()
                return
            except OSError:
                await asyncio.sleep(0.01)


async def trouble_of(ports: OwnPorts, service: str) -> str:
    """What is said of its port, once that is not nothing."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := ports.report()[service]):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    return told(found)


async def test_a_port_is_the_services_until_it_is_not_wanted(ports: OwnPorts) -> None:
    port = free_port()
    ports.follow({"shop": (HERE, port)})
    assert await whose(port) == "shop"
    assert ports.report() == {"shop": ""}
    ports.follow({})
    await until_free(port)
    assert ports.report() == {}


async def test_a_door_leaves_pythons_collector_to_its_program(ports: OwnPorts) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    port = free_port()
    ports.follow({"shop": (HERE, port)})
    assert await whose(port) == "shop"
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
    await ports.close()
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


async def test_a_port_in_use_is_told_of_and_opened_once_it_can_be_had(ports: OwnPorts) -> None:
    with socket.create_server((HERE, free_port())) as other:
        port = other.getsockname()[1]
        ports.follow({"shop": (HERE, port), "desk": (HERE, (desks := free_port()))})
        assert "is in use" in await trouble_of(ports, "shop")
        assert await whose(desks) == "desk"
    assert await whose(port) == "shop"
    assert ports.report() == {"shop": "", "desk": ""}


@pytest.mark.parametrize(("host", "other"), [("localhost", "127.0.0.2"), ("127.0.0.2", HERE)])
async def test_a_service_that_moves_to_another_host_keeps_its_port(
    ports: OwnPorts, host: str, other: str
) -> None:
    port = free_port()
    ports.follow({"shop": ("0.0.0.0", port)})
    assert await whose(port) == "shop"
    async with connect(f"ws://{HERE}:{port}/"):
        ports.follow({"shop": (host, port)})
        await until_closed(port, other)
        assert await whose(port, host) == "shop"
    assert ports.report() == {"shop": ""}


async def test_a_port_goes_to_the_next_service_at_once(
    ports: OwnPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_ports, "RETRY_S", 600.0)
    port = free_port()
    ports.follow({"shop": (HERE, port)})
    assert await whose(port) == "shop"
    async with connect(f"ws://{HERE}:{port}/"):
        ports.follow({"desk": (HERE, port)})
        assert await whose(port, not_as="shop") == "desk"


async def test_what_nobody_expects_is_told_of_and_tried_again(
    ports: OwnPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen, failures = own_ports.listen_meanwhile, iter([RuntimeError("odd"), RuntimeError("odd")])

    async def trip_twice(host: str, port: int) -> socket.socket:
        for failure in failures:
            raise failure
        return await listen(host, port)

    monkeypatch.setattr(own_ports, "listen_meanwhile", trip_twice)
    port = free_port()
    ports.follow({"shop": (HERE, port)})
    assert "could not open" in await trouble_of(ports, "shop")
    assert await whose(port) == "shop"


async def test_a_name_that_is_looked_up_for_ever_holds_up_neither_others_nor_the_end(
    ports: OwnPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen, is_asked = own_ports.listen_meanwhile, asyncio.Event()

    async def never(host: str, port: int) -> socket.socket:
        if host == HERE:
            return await listen(host, port)
        is_asked.set()
        await asyncio.Event().wait()
        raise CannotListen("unreachable")

    monkeypatch.setattr(own_ports, "listen_meanwhile", never)
    port = free_port()
    ports.follow({"slow": ("slow.example", port), "shop": (HERE, port)})
    await is_asked.wait()
    assert await whose(port) == "shop"
    async with asyncio.timeout(PATIENCE_S):
        await ports.close()


async def test_nothing_is_opened_after_the_end_and_who_is_there_gets_a_close_frame(
    ports: OwnPorts,
) -> None:
    port = free_port()
    ports.follow({"shop": (HERE, port)})
    assert await whose(port) == "shop"
    async with connect(f"ws://{HERE}:{port}/") as client:
        await client.recv()
        await ports.close()
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None, "cut off without a word"
    ports.follow({"shop": (HERE, port)})
    await ports.close()
    with contextlib.closing(socket.create_server((HERE, port))):
        assert ports.report() == {}
