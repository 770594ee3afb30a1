"""Unix sockets: connecting to one, and identifying the process at the other end."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from pathlib import Path

from agents.runtime.process import identity_of

_CREDENTIALS = struct.Struct("3i")
"""Process, user and group."""


async def connected_to(address: Path) -> socket.socket:
    """Connects to a Unix socket. Raises `OSError`. Cancelling is safe."""
    dialling = socket.socket(socket.AF_UNIX)
    try:
        dialling.setblocking(False)
        await asyncio.get_running_loop().sock_connect(dialling, str(address))
    except BaseException:
        dialling.close()
        raise
    return dialling


def process_behind(connected: socket.socket) -> str | None:
    """The identity of the process that listens, if the kernel provides it.

    Raises `ConnectionRefusedError` if the process has ended.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid = _CREDENTIALS.unpack(told)[0]
    if pid == 0:
        return None  # It is in another container.
    process = identity_of(pid)
    if process is None:
        connected.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, "its process has ended")
    return process


def refuses(address: Path) -> bool:
    """Whether a Unix socket exists on which nobody listens. Never waits."""
    with socket.socket(socket.AF_UNIX) as trying:
        trying.setblocking(False)
        return trying.connect_ex(str(address)) == errno.ECONNREFUSED
