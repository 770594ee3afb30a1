"""One of several server processes: it serves on its parent's socket, and does what it is told."""

from __future__ import annotations

import asyncio
import os
import socket

from django.conf import settings

from agents.runtime.background import end
from services.serving.site import SiteServer
from services.serving.words import ANNOUNCE, LEAVE, OPEN_OWN_PORTS, READY


def inherited(descriptor: int) -> socket.socket:
    """The parent's socket of that number, which nothing that this process starts inherits."""
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)


async def serve(site: SiteServer, parent: socket.socket) -> None:
    """Serves until it is told to leave, its parent ends, or a signal comes.

    A signal that comes to it alone leaves its runs their time.
    """
    reader, writer = await asyncio.open_unix_connection(sock=parent)
    part = _Part(site)
    obeying = asyncio.get_running_loop().create_task(part.obey(reader))
    try:
        await site.serve(ready=lambda: writer.write(READY), leave=part.leave)
    finally:
        await end([obeying])
        writer.close()


class _Part:
    def __init__(self, site: SiteServer) -> None:
        self._site = site
        self._grace_s = settings.MYAGENT_SHUTDOWN_GRACE_S

    async def obey(self, parent: asyncio.StreamReader) -> None:
        """Without its parent nobody would ever end it, and it leaves as well."""
        while (line := await _next(parent)) not in (LEAVE, b""):
            if line == OPEN_OWN_PORTS:
                self._site.open_own_ports()
            elif line == ANNOUNCE:
                self._site.announce()
        self._grace_s = 0
        self._site.begin_to_leave()

    async def leave(self) -> None:
        # It would refuse them, and the others are free.
        self._site.stop_listening()
        await self._site.leave(self._grace_s)


async def _next(parent: asyncio.StreamReader) -> bytes:
    try:
        return await parent.readline()
    except OSError:
        return b""
