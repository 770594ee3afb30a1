"""Ports for servers that tests start: none that the system gives to whoever asks for any one.

Those may be a client's own port at any moment, also between a server's death and its restart.
"""

from __future__ import annotations

import functools
import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST, END = 12_000, 30_000
"""Below what Linux, BSD and macOS give out by themselves."""

STRETCH = 300
"""Ports that a process has to itself."""

PATIENCE_S = 60.0


def free_port() -> int:
    """A port on which nobody listens now, and which no other process of tests will choose."""
    _, ports = _own_stretch()
    for port in itertools.islice(ports, STRETCH):
        if (listener := _listening(port)) is not None:
            listener.close()
            return port
    raise OSError("every port is in use")


@contextmanager
def bound(host: str) -> Iterator[socket.socket]:
    """A socket that has an address there and does not listen: nobody reaches it."""
    with socket.socket() as held:
        held.bind((host, 0))
        yield held


@functools.cache
def _own_stretch() -> tuple[socket.socket, Iterator[int]]:
    """Whoever listens on the first port of a stretch has the others, until it ends."""
    for first in range(FIRST, END, STRETCH):
        if (sign := _listening(first)) is not None:
            return sign, itertools.cycle(range(first + 1, first + STRETCH))
    raise OSError("every stretch of ports is in use")


def _listening(port: int) -> socket.socket | None:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return None


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def until_open(port: int) -> None:
    """Waits until somebody listens there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if is_open(port):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens at port {port}")
