"""The door of a worker that listens on TCP: only who proves to be of the site gets a link.

Until then a connection is a TLS handshake with a deadline, and nothing that it sends is read as
a frame. There are at most `MAX_UNPROVED` of them; the oldest gives way to a new one, so that
connections which prove nothing delay no server.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from myagent.worker.tcp import notice_lost_peers

HANDSHAKE_S = 5.0
"""How long who dials may take to prove that it is of the site."""

MAX_UNPROVED = 64

ACCEPT_AGAIN_S = 1.0
"""How long nobody is let in after the system refused a connection, for want of descriptors."""

TELL_S = 60.0
"""Refused connections are logged no more often: anybody can cause them."""

logger = logging.getLogger(__name__)


class TcpDoor:
    """`new_link` makes the protocol of each connection. Its methods belong to the loop."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        new_link: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listening = listening
        self._context = context
        self._new_link = new_link
        self._loop = asyncio.get_running_loop()
        self._unproved: dict[asyncio.Task[None], socket.socket] = {}
        """The oldest first."""
        self._refused = 0
        self._told_at = float("-inf")
        self._again: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._wait()

    def close(self) -> None:
        """Lets nobody in any more; links stay. May be called twice."""
        if self._again is not None:
            self._again.cancel()
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening)
            self._listening.close()
        for connection in self._unproved.values():
            _cut(connection)

    def _wait(self) -> None:
        self._again = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        try:
            connection, address = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # It was another process's, or is gone.
        except OSError as error:
            logger.warning("link_not_accepted reason=%r", str(error))
            self._loop.remove_reader(self._listening)
            self._again = self._loop.call_later(ACCEPT_AGAIN_S, self._wait)
            return
        self._make_room()
        connection.setblocking(False)
        task = self._loop.create_task(self._let_in(connection))
        self._unproved[task] = connection
        task.add_done_callback(partial(self._conclude, address))

    def _make_room(self) -> None:
        if len(self._unproved) >= MAX_UNPROVED:
            _cut(self._unproved.pop(next(iter(self._unproved))))

    async def _let_in(self, connection: socket.socket) -> None:
        try:
            notice_lost_peers(connection)
        except OSError:
            connection.close()
            raise
        await self._loop.connect_accepted_socket(
            self._new_link, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
        )

    def _conclude(self, address: object, task: asyncio.Task[None]) -> None:
        self._unproved.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, OSError):
            self._note_refused(address, error)
        elif error is not None:
            logger.error("link_not_let_in", exc_info=error)

    def _note_refused(self, address: object, error: OSError) -> None:
        self._refused += 1
        now = self._loop.time()
        if now - self._told_at < TELL_S:
            return
        reason = str(error) or "it proved nothing"
        logger.warning("links_refused count=%d last=%r reason=%r", self._refused, address, reason)
        self._told_at, self._refused = now, 0


def _cut(connection: socket.socket) -> None:
    """Ends a handshake. The loop, which may be about to read, closes the connection itself."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
