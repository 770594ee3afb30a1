"""Workers that are dialled over TCP: their addresses, and the way to one."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agents.runs.link_keys import dialling_contexts
from agents.runs.worker_process import Paths
from myagent.worker.tcp import host_and_port, joined, notice_lost_peers

SCHEME = "tcp://"

UNKNOWN = SCHEME
"""The address of a worker of which it is not known yet where it listens."""

CONNECT_S = 10.0
"""Seconds within which the machine must take a connection."""

HANDSHAKE_S = 60.0
"""Seconds that a worker may take to accept: it does once its file is loaded."""

OTHER_KEY = (
    "another process answers there, or SECRET_KEY is not the same where the worker was started"
)

UNREACHABLE = frozenset(
    {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}
)

P = TypeVar("P", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the worker of an instance listens on TCP."""

    instance_id: str
    host: str
    port: int

    @classmethod
    def at(cls, address: str, instance_id: str) -> Remote:
        """Raises `ValueError` if it is not tcp://HOST:PORT."""
        if not address.startswith(SCHEME):
            raise ValueError(f"'{address}' is not the address of a link")
        return cls(instance_id, *host_and_port(address.removeprefix(SCHEME)))


def way_to(instance_id: str, address: str) -> Path | Remote:
    """How to dial the worker of an instance: over its Unix socket, if it has one here.

    Raises `ValueError`, and `ImproperlyConfigured` for the var folder.
    """
    path = Paths.of(instance_id).socket
    return path if not address or path.exists() else Remote.at(address, instance_id)


def address_of(host: str, port: int) -> str:
    return f"{SCHEME}{joined(host, port)}"


async def connected(remote: Remote, new_protocol: Callable[[], P]) -> P:
    """The protocol of a connection on which both ends have proved to belong to the instance.

    Raises `OSError`; cancelling is safe. That the worker refuses this end is told by the end of
    the connection.
    """
    failure: OSError | None = None
    for context in dialling_contexts(remote.instance_id):
        try:
            return await _connected(remote, new_protocol, context)
        except ssl.SSLCertVerificationError as error:
            failure = error
    raise PermissionError(OTHER_KEY) from failure


async def _connected(remote: Remote, new_protocol: Callable[[], P], context: ssl.SSLContext) -> P:
    """Raises `ssl.SSLCertVerificationError` if the worker has keys of another SECRET_KEY."""
    async with asyncio.timeout(CONNECT_S):
        connection = await _reached(remote.host, remote.port)
    try:
        notice_lost_peers(connection)
        _, protocol = await asyncio.get_running_loop().create_connection(
            new_protocol,
            sock=connection,
            ssl=context,
            server_hostname="",
            ssl_handshake_timeout=HANDSHAKE_S,
        )
    except BaseException:
        connection.close()
        raise
    return protocol


async def _reached(host: str, port: int) -> socket.socket:
    """A connection to the first of the host's addresses that takes one. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        try:
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure


def is_of_the_network(error: Exception | None) -> bool:
    """Whether a connection ended for what lies between the machines: no process ends with it."""
    if isinstance(error, ssl.SSLEOFError):
        return False
    return (
        isinstance(error, TimeoutError | ssl.SSLError)
        or getattr(error, "errno", None) in UNREACHABLE
    )


def is_refusal(error: Exception | None) -> bool:
    """Whether a connection ended because the worker did not trust this end."""
    return isinstance(error, ssl.SSLError)
