"""Whoever has the port for metrics, and whatever they answer, it is said in one line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from services.doctor import reporting
from services.doctor.looking_at_reporting import MOST_BYTES, metrics_port
from services.telling import tell
from tests.ports import free_port

GREETING = b"J\x00\x00\x00\n5.5.5-10.11.14-MariaDB-0+deb12u2\x00\x05\x00\x00\x00abcdefgh\x00"
ENDLESS = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 2 * MOST_BYTES
CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx"
LONG_LINE = b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n"


@pytest.fixture(params=[GREETING, b"", ENDLESS, CUT_OFF, LONG_LINE, b"HTTP/1.0 404 No\r\n\r\n"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port at which something answers everybody with these bytes, and hangs up."""

    def answer() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                try:
                    peer.sendall(request.param)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(4096):
                        pass
                except OSError:
                    continue

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        answering = threading.Thread(target=answer)
        answering.start()
        yield listener.getsockname()[1]
        # A thread that accepts is not woken by closing what it accepts from.
        listener.shutdown(socket.SHUT_RDWR)
    answering.join()


def test_something_else_that_has_the_port_is_named_whatever_it_answers(
    settings: Any, taken: int
) -> None:
    settings.MYAGENT_METRICS_HOST, settings.MYAGENT_METRICS_PORT = "127.0.0.1", taken
    [found] = reporting.judge_metrics(metrics_port())
    assert tell(found.fact) == (
        f"No server can tell its metrics at 127.0.0.1:{taken}: something else has the port."
    )


def test_a_port_that_nobody_has_is_free(settings: Any) -> None:
    settings.MYAGENT_METRICS_HOST, settings.MYAGENT_METRICS_PORT = "127.0.0.1", free_port()
    [found] = reporting.judge_metrics(metrics_port())
    assert found.advice is None
