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
        self._unproved: dict[asyncio.Task[None], None] = {}
        self._refused = 0
        self._told_at = float("-inf")
        listening.setblocking(False)
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Lets nobody in any more; links stay. May be called twice."""
        self._accepting.cancel()
        for task in list(self._unproved):
            task.cancel()

    async def _accept(self) -> None:
        # Closed by who waits at it: its number must not be another's while the loop looks at it.
        with self._listening:
            while True:
                try:
                    connection, address = await self._loop.sock_accept(self._listening)
                except OSError as error:
                    logger.warning("link_not_accepted reason=%r", str(error))
                    await asyncio.sleep(ACCEPT_AGAIN_S)
                    continue
                self._make_room()
                task = self._loop.create_task(self._let_in(connection))
                self._unproved[task] = None
                task.add_done_callback(partial(self._conclude, connection, address))

    def _make_room(self) -> None:
        if len(self._unproved) >= MAX_UNPROVED:
            oldest = next(iter(self._unproved))
            del self._unproved[oldest]
            oldest.cancel()

    async def _let_in(self, connection: socket.socket) -> None:
        notice_lost_peers(connection)
        await self._loop.connect_accepted_socket(
            self._new_link, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
        )

    def _conclude(
        self, connection: socket.socket, address: object, task: asyncio.Task[None]
    ) -> None:
        self._unproved.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if not task.cancelled() and error is None:
            return
        connection.close()
        if error is not None and not isinstance(error, OSError):
            logger.error("link_not_let_in", exc_info=error)
        elif not self._accepting.done():
            self._note_refused(address, error)

    def _note_refused(self, address: object, error: BaseException | None) -> None:
        self._refused += 1
        now = self._loop.time()
        if now - self._told_at < TELL_S:
            return
        reason = str(error) if error is not None else "too many that prove nothing"
        logger.warning("links_refused count=%d last=%r reason=%r", self._refused, address, reason)
        self._told_at, self._refused = now, 0
