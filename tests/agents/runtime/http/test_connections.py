"""Connections to our own server, over real sockets: limited in size and in time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from agents.runtime.http import requests, sockets
from agents.runtime.http.admission import Admission, Bounds
from agents.runtime.http.safe_headers import SAFE_HEADERS
from agents.runtime.server import configuration

PATIENCE_S = 30.0
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HEARTBEAT = UPGRADE.replace(b"/", b"/heartbeat", 1)
FLOOD = UPGRADE.replace(b"/", b"/flood", 1)
PING = b"\x89\x04"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers a request with its body, or with "ok"; and each text of a socket with the same text.

    Only the path / has no heartbeat; /flood sends more than any client reads.
    """
    if scope["type"] == "http":
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        body = body or b"ok"
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
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
def admission() -> Admission:
    """Gives clients a tenth of a second for everything that they have to send."""
    return Admission(Bounds(headers_s=0.1, body_s=0.1, connections=2))


def give_time(admission: Admission) -> None:
    admission.bounds = replace(admission.bounds, headers_s=PATIENCE_S, body_s=PATIENCE_S)


@pytest.fixture
async def port(state: ServerState, admission: Admission) -> AsyncIterator[int]:
    """Serves the application."""
    config = configuration(application, is_debug=False, admission=admission)
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
    """The remaining data, until the server closes the connection."""
    async with asyncio.timeout(PATIENCE_S):
        return await connection[0].read()


async def hang_up(*connections: Streams) -> None:
    for _, writer in connections:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("said", "answer"),
    [(b"", b""), (b"GET / HT", b"HTTP/1.1 408"), (REQUEST[:-2], b"HTTP/1.1 408")],
)
async def test_a_connection_that_never_sends_a_request_is_closed(
    port: int, said: bytes, answer: bytes
) -> None:
    connection = await dial(port, said)
    assert (await rest_of(connection))[:12] == answer
    await hang_up(connection)


async def test_a_connection_that_has_sent_a_request_in_time_is_kept(port: int) -> None:
    asked = await dial(port, REQUEST)
    assert (await asked[0].readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200")
    upgraded = await dial(port, UPGRADE)
    assert (await upgraded[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    # It was the last one: when its time is over, so is that of the others.
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
    monkeypatch.setattr(sockets, "LINGER_S", 0.0)
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


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (UPGRADE.replace(b"Version: 13", b"Version: 99"), 400),
        (UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key"), 400),
        (UPGRADE.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 8200 + b"\r\n\r\n"), 431),
    ],
    ids=["version", "key", "a long line"],
)
async def test_a_refused_handshake_tells_browsers_what_every_response_does(
    admission: Admission, port: int, wrong: bytes, status: int
) -> None:
    give_time(admission)
    connection = await dial(port, wrong)
    head = (await rest_of(connection)).partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    await hang_up(connection)
    assert head[0].split()[1] == str(status).encode()
    for name, value in SAFE_HEADERS:
        found = [line for line in head if line.startswith(name + b":")]
        assert found == [b"%s: %s" % (name, value.lower())]


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
    monkeypatch.setattr(requests, "UNANSWERED_S", 0.5)
    connection = await dial(port, FLOOD)
    async with asyncio.timeout(PATIENCE_S):
        await connection[0].readuntil(b"\r\n\r\n")
        # The transport's reader takes as much as it has room for, and no more.
        await asyncio.wait(list(state.tasks))
    assert not state.connections
    connection[1].close()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_the_second_request_of_a_kept_connection_has_a_deadline_too(port: int) -> None:
    connection = await dial(port, REQUEST)
    await connection[0].readuntil(b"\r\n\r\nok")
    connection[1].write(REQUEST[:-2])
    assert status_of(await rest_of(connection)) == 408
    await hang_up(connection)


async def test_what_keeps_a_connection_busy_without_a_request_does_not_keep_it(port: int) -> None:
    connection = await dial(port, REQUEST)
    await connection[0].readuntil(b"\r\n\r\nok")
    trickling = asyncio.create_task(trickle(connection[1], b"\r\n"))
    with contextlib.suppress(ConnectionError):
        assert await rest_of(connection) == b""
    trickling.cancel()
    connection[1].transport.abort()
    await asyncio.wait([trickling])


@pytest.mark.parametrize(
    "start", [POST + b"Content-Length: 1000\r\n\r\n", POST + b"Transfer-Encoding: chunked\r\n\r\n"]
)
async def test_a_body_that_trickles_is_not_waited_for(port: int, start: bytes) -> None:
    connection = await dial(port, start)
    trickling = asyncio.create_task(trickle(connection[1], b"1\r\nx\r\n"))
    assert status_of(await rest_of(connection)) == 408
    trickling.cancel()
    connection[1].transport.abort()
    await asyncio.wait([trickling])


async def trickle(writer: asyncio.StreamWriter, drop: bytes) -> None:
    while not writer.is_closing():
        writer.write(drop)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("size", [3, 5_000, 900_000])
async def test_a_body_that_comes_in_time_is_taken_whole(
    port: int, admission: Admission, size: int
) -> None:
    give_time(admission)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    connection = await dial(port, POST + b"Content-Length: %d\r\n\r\n" % size + body)
    async with asyncio.timeout(PATIENCE_S):
        await connection[0].readuntil(b"\r\n\r\n")
        assert await connection[0].readexactly(size) == body
    await hang_up(connection)


async def test_requests_in_a_row_are_answered_in_their_order(
    port: int, admission: Admission
) -> None:
    give_time(admission)
    numbers = [b"%04d" % number for number in range(2_000)]
    connection = await dial(
        port, b"".join(POST + b"Content-Length: 4\r\n\r\n" + each for each in numbers)
    )
    async with asyncio.timeout(PATIENCE_S):
        for each in numbers:
            await connection[0].readuntil(b"\r\n\r\n")
            assert await connection[0].readexactly(4) == each
    await hang_up(connection)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
        (b"GET /" + b"x" * 16_000 + b" HTTP/1.1\r\n\r\n", 200),
        (b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\n\r\n", 414),
        (REQUEST[:-2] + b"X: " + b"x" * 16_000 + b"\r\n\r\n", 200),
        (REQUEST[:-2] + b"X: " + b"x" * 17_000 + b"\r\n\r\n", 431),
        (REQUEST[:-2] + b"X: x\r\n" * 99 + b"\r\n", 200),
        (REQUEST[:-2] + b"X: x\r\n" * 100 + b"\r\n", 431),
        (REQUEST[:-2] + (b"X: " + b"x" * 16_000 + b"\r\n") * 5 + b"\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_a_head_is_taken_up_to_its_bounds(port: int, request_: bytes, status: int) -> None:
    connection = await dial(port, request_)
    async with asyncio.timeout(PATIENCE_S):
        assert status_of(await connection[0].readuntil(b"\r\n\r\n")) == status
    await hang_up(connection)


async def test_an_address_has_so_many_connections_that_are_no_sockets(
    port: int, admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_time(admission)
    monkeypatch.setattr(requests, "counted_as", lambda address, trusted: "somewhere")
    socket_ = await dial(port, UPGRADE)
    await socket_[0].readuntil(b"\r\n\r\n")
    waiting = [await dial(port, REQUEST[:-2]) for _ in range(2)]
    one_more = await dial(port)
    assert status_of(await rest_of(one_more)) == 429
    waiting[0][1].write(b"\r\n")
    await waiting[0][0].readuntil(b"\r\n\r\nok")
    await hang_up(waiting[0])
    async with asyncio.timeout(PATIENCE_S):
        while True:
            again = await dial(port, REQUEST)
            if status_of(await again[0].readuntil(b"\r\n\r\n")) == 200:
                break
            await hang_up(again)
    await hang_up(socket_, waiting[1], one_more, again)


async def test_the_last_descriptors_are_kept_and_that_is_logged(
    port: int, admission: Admission
) -> None:
    admission.most_descriptors = 0
    with capture_logs() as lines:
        connection = await dial(port)
        assert status_of(await rest_of(connection)) == 503
    assert [line["event"] for line in lines] == ["out_of_descriptors"]
    await hang_up(connection)


def after_pings(sent: bytes) -> bytes:
    """On a busy machine, a server may have sent some before its answer."""
    while sent[:1] == b"\x89":
        sent = sent[2 + sent[1] :]
    return sent


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007),
        (b"\x01\x81\x00\x00\x00\x00\xff\x80\x81\x00\x00\x00\x00\xff", 1007),
        (b"\xf1\x80\x00\x00\x00\x00", 1002),
        (b"\x81\x02hi", 1002),
        (b"\x88\x81\x00\x00\x00\x00x", 1002),
    ],
)
async def test_a_frame_that_is_none_ends_its_socket_and_costs_no_more_than_a_log_line(
    port: int, frame: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await dial(port, UPGRADE)
    await connection[0].readuntil(b"\r\n\r\n")
    with caplog.at_level("WARNING"):
        connection[1].write(frame)
        closing = after_pings(await rest_of(connection))
    assert closing[:1] == b"\x88" and int.from_bytes(closing[2:4], "big") == code
    assert len(caplog.records) <= 1 and not any(each.exc_info for each in caplog.records)
    await hang_up(connection)


async def test_a_message_in_many_fragments_arrives_whole(port: int) -> None:
    mask = b"\x00\x00\x00\x00"
    pieces = [bytes([97 + number % 26]) * (1 + number) for number in range(120)]
    frames = [b"\x01\x81" + mask + pieces[0]]
    frames += [bytes([0, 0x80 | len(each)]) + mask + each for each in pieces[1:]]
    frames.append(b"\x80\x80" + mask)
    connection = await dial(port, HEARTBEAT)
    await connection[0].readuntil(b"\r\n\r\n")
    connection[1].write(b"".join(frames))
    whole = b"".join(pieces)
    async with asyncio.timeout(PATIENCE_S):
        head = await connection[0].readexactly(4)
        assert head == b"\x81\x7e" + len(whole).to_bytes(2, "big")
        assert await connection[0].readexactly(len(whole)) == whole
    await hang_up(connection)


async def test_many_messages_in_one_chunk_are_all_read_in_their_order(port: int) -> None:
    mask = b"\x00\x00\x00\x00"
    texts = [b"%05d" % number for number in range(5_000)]
    connection = await dial(port, HEARTBEAT)
    await connection[0].readuntil(b"\r\n\r\n")
    connection[1].write(b"".join(b"\x81\x85" + mask + each for each in texts))
    async with asyncio.timeout(PATIENCE_S):
        for each in texts:
            assert await connection[0].readexactly(7) == b"\x81\x05" + each
    await hang_up(connection)
