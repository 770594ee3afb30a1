"""Links over TCP, as the system sees them: listening sockets, addresses, and lost peers."""

from __future__ import annotations

import socket

LOST_AFTER_S = 20
"""How long the other machine may not answer to what was sent: one that is gone says nothing."""

QUIET_S = 10
"""After so long without anything sent the system asks whether the other machine is there."""

QUESTIONS = 2


def listening_at(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket; port 0: any. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        # What still lingers of a former worker's connections does not keep the port from this one.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(backlog)
    except BaseException:
        listening.close()
        raise
    return listening


def notice_lost_peers(connection: socket.socket) -> None:
    """Lets the system end the connection once the other machine has gone. Raises `OSError`."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", QUIET_S),
        ("TCP_KEEPINTVL", (LOST_AFTER_S - QUIET_S) // QUESTIONS),
        ("TCP_KEEPCNT", QUESTIONS),
        ("TCP_USER_TIMEOUT", LOST_AFTER_S * 1000),
    ):
        # Not every system has all of them.
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def host_and_port(text: str, port: int | None = None) -> tuple[str, int]:
    """The parts of HOST:PORT or [HOST]:PORT; `port`: what is meant without one.

    Raises `ValueError`.
    """
    host, colon, number = text.rpartition(":")
    if text.endswith("]") or not colon:
        host, number = text, ""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"'{text}' is not HOST:PORT: an IPv6 address is written in brackets")
    chosen = port if not number else int(number) if number.isdecimal() else -1
    if not host or chosen is None or not 0 <= chosen <= 65535:
        raise ValueError(f"'{text}' is not HOST:PORT")
    return host, chosen


def joined(host: str, port: int) -> str:
    """The opposite of `host_and_port`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
