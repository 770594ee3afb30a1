"""The server inside `runagent`: a connection that never asks for anything is not kept."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uvicorn.server import ServerState

from agents.runtime import server
from agents.runtime.server import configuration

PATIENCE_S = 30.0
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HEARTBEAT = UPGRADE.replace(b"/", b"/heartbeat", 1)
FLOOD = UPGRADE.replace(b"/", b"/flood", 1)
PING = b"\x89\x04"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers a request with "ok", and a socket's every text with the same.

    Only at / it has no heartbeat; at /flood it says more than anybody reads.
    """
    if scope["type"] == "http":
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    await receive()
    await send({"type": "websocket.accept", "has_heartbeat": scope["path"] != "/"})
    if scope["path"] == "/flood":
        while True:
            await send({"type": "websocket.send", "text": "x" * 1_000_000})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture
def state() -> ServerState:
    return ServerState()


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch, state: ServerState) -> AsyncIterator[int]:
    """Serves the application; a new connection has a tenth of a second to say something."""
    monkeypatch.setattr(server, "FIRST_REQUEST_S", 0.1)
    config = configuration(application, is_debug=False)
    config.load()
    config.ws_ping_interval = 0.05

    def protocol() -> Any:
        made: Any = config.http_protocol_class
        return made(config=config, server_state=state, app_state={})

    listening = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
        for connection in list(state.connections):
            connection.transport.abort()


async def dial(port: int, text: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    return reader, writer


async def rest_of(connection: Streams) -> bytes:
    """What still comes, up to the end that the server makes."""
    async with asyncio.timeout(PATIENCE_S):
        return await connection[0].read()


async def hang_up(*connections: Streams) -> None:
    for _, writer in connections:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("said", [b"", b"GET / HT", REQUEST[:-2]])
async def test_a_connection_that_never_sends_a_request_is_closed(port: int, said: bytes) -> None:
    connection = await dial(port, said)
    assert await rest_of(connection) == b""
    await hang_up(connection)


async def test_a_connection_that_has_sent_a_request_in_time_is_kept(port: int) -> None:
    asked = await dial(port, REQUEST)
    assert (await asked[0].readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200")
    upgraded = await dial(port, UPGRADE)
    assert (await upgraded[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    # It came last: when its time is over, that of the others is too.
    silent = await dial(port)
    assert await rest_of(silent) == b""
    asked[1].write(REQUEST)
    assert (await asked[0].readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200")
    upgraded[1].write(b"\x81\x82\x00\x00\x00\x00hi")
    await upgraded[0].readuntil(b"\x81\x02hi")
    await hang_up(asked, upgraded, silent)


async def test_a_socket_that_is_gone_is_free_without_a_garbage_collection(
    port: int, state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LINGER_S", 0.0)
    gc.collect()
    gc.disable()
    try:
        connection = await dial(port, UPGRADE)
        await connection[0].readuntil(b"\r\n\r\n")
        (socket,) = state.connections
        is_free = asyncio.Event()
        weakref.finalize(socket, is_free.set)
        weakref.finalize(socket.conn, is_free.set)
        del socket
        await hang_up(connection)
        async with asyncio.timeout(PATIENCE_S):
            await is_free.wait()
    finally:
        gc.enable()


async def test_a_socket_with_a_heartbeat_of_its_own_is_not_pinged(port: int) -> None:
    plain, beating = await dial(port, UPGRADE), await dial(port, HEARTBEAT)
    for connection in plain, beating:
        await connection[0].readuntil(b"\r\n\r\n")
    async with asyncio.timeout(PATIENCE_S):
        assert (await plain[0].readexactly(6)).startswith(PING)
    beating[1].write(b"\x81\x82\x00\x00\x00\x00hi")
    assert await beating[0].readexactly(4) == b"\x81\x02hi"
    await hang_up(plain, beating)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="not on this system")
async def test_a_peer_that_takes_nothing_any_more_is_noticed_without_pings(
    port: int, state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UNANSWERED_S", 0.5)
    connection = await dial(port, FLOOD)
    async with asyncio.timeout(PATIENCE_S):
        await connection[0].readuntil(b"\r\n\r\n")
        # Its reader takes what it has room for, and no more.
        await asyncio.wait(list(state.tasks))
    assert not state.connections
    connection[1].close()
