"""The port of the metrics: bounded, and of no use to a page in a browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.metrics import web

PATIENCE_S = 30.0
HOST = "127.0.0.1"
ASK = b"GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"

Open = Callable[..., socket.socket]


def application(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"metrics 1\n"]


@pytest.fixture
def dial(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a connection, which is closed in the end."""
    server = web.served(getattr(request, "param", HOST), 0, application)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    connections: list[socket.socket] = []

    def dial(said: bytes = b"") -> socket.socket:
        connection = socket.create_connection((HOST, server.server_port), timeout=PATIENCE_S)
        connections.append(connection)
        connection.sendall(said)
        return connection

    yield dial
    for connection in connections:
        connection.close()
    server.shutdown()
    server.server_close()
    serving.join(PATIENCE_S)


def rest_of(connection: socket.socket) -> bytes:
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize("host", [b"localhost", b"127.0.0.1:9100", b"[::1]:9100"])
def test_it_tells_no_version_and_what_browsers_must_not_do(dial: Open, host: bytes) -> None:
    answer = rest_of(dial(ASK % host)).lower()
    assert answer.startswith(b"http/1.0 200")
    assert b"server: metrics\r\n" in answer and b"python" not in answer
    assert b"x-content-type-options: nosniff\r\n" in answer


def test_what_is_no_request_is_told_no_version(dial: Open) -> None:
    answer = rest_of(dial(b"NONSENSE\r\n\r\n"))
    assert b"400" in answer and b"Python" not in answer


@pytest.mark.parametrize("dial", [HOST, "0.0.0.0", "::"], indirect=True)
def test_a_page_that_gave_this_machine_its_own_name_learns_nothing(dial: Open) -> None:
    answer = rest_of(dial(ASK % b"evil.example:9100"))
    assert answer.startswith(b"HTTP/1.0 403") and b"metrics 1" not in answer


def test_who_never_asks_is_cut_off_and_holds_no_place_for_ever(
    dial: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MOST_S", 0.3)
    silent = [dial(b"GET /metrics HTTP/1.1\r\n") for _ in range(2 * web.MOST_AT_ONCE)]
    assert [rest_of(each) for each in silent] == [b""] * len(silent)
    while not (answer := rest_of(dial(ASK % b"localhost"))):
        pass  # The last place is about to be free.
    assert b"metrics 1" in answer
