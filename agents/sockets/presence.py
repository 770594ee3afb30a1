"""Keeps a server's part of the register of connections, and closes those that are to be closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from django.utils import timezone

from agents.principals import key_of
from agents.runtime.base_path import path_within
from agents.runtime.bell import Bell
from agents.runtime.database import DatabaseThreads
from agents.runtime.edge import headers_of
from agents.sockets import register
from agents.sockets.base import SocketConsumer
from agents.sockets.connections import Connections
from agents.sockets.handshake import address_of
from agents.sockets.register import Fresh
from agents.transients import Problem
from myagent.protocol import CloseCode

ROUND_S = 0.5
"""Seconds between two looks; a connection that is shorter than that costs nothing."""

AT_ONCE = 200
"""New sockets that are described without a pause: thousands may have come since the last look."""

MAX_TEXT = 191
MAX_ADDRESS = 64
"""Characters of what a client says about itself that are kept."""


class Presence:
    """Its methods belong to the event loop. `server_id`: '' while the server is not registered.

    The changes of a round are written in a few transactions. Only sockets that are new, or have no
    service yet, are looked at.
    """

    def __init__(
        self, connections: Connections, database: DatabaseThreads, server_id: Callable[[], str]
    ) -> None:
        self._connections = connections
        self._database = database
        self._server_id = server_id
        self._written_for = ""
        self._written: set[str] = set()
        self._unplaced: set[str] = set()
        self._seen_changes = -1
        self._has_rung = asyncio.Event()
        self._bell = Bell(register.BELL, self._has_rung.set)

    async def look_again(self) -> None:
        """Waits for the next round, and carries it out. Raises `django.db.Error`.

        Cancelling is safe: what was not written is written by the next round.
        """
        self._bell.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._bell.pause_s(ROUND_S)):
                await self._has_rung.wait()
        self._has_rung.clear()
        await self.look()

    async def stop(self) -> None:
        """May be called twice."""
        await self._bell.stop()

    async def look(self) -> None:
        """One round."""
        server_id = self._server_id()
        if not server_id:
            return
        if server_id != self._written_for:
            await self._begin_anew(server_id)
        await self._write_changes(server_id)
        if self._written:
            for connection_id in await self._database.run(register.to_close, server_id):
                self._dismiss(connection_id)

    async def _begin_anew(self, server_id: str) -> None:
        if self._written_for:
            await self._database.run(register.forget, self._written_for)
        self._written.clear()
        self._unplaced.clear()
        self._seen_changes = -1
        self._written_for = server_id

    async def _write_changes(self, server_id: str) -> None:
        changes = self._connections.changes
        placed = self._placed()
        if changes == self._seen_changes and not placed:
            return
        present = self._connections.present
        gone = self._written - present.keys()
        await self._write([], placed, gone)
        new = list(present.keys() - self._written)
        for start in range(0, len(new), AT_ONCE):
            some = (present[each] for each in new[start : start + AT_ONCE] if each in present)
            now = timezone.now()
            await self._write([_row(each, server_id, now) for each in some], {}, ())
        self._seen_changes = changes

    async def _write(
        self, fresh: Sequence[Fresh], placed: Mapping[str, str], gone: Collection[str]
    ) -> None:
        if fresh or placed or gone:
            await self._database.run(register.write, fresh, placed, gone)
        self._written.update(row.id for row in fresh)
        self._unplaced.update(row.id for row in fresh if not row.service)
        self._written.difference_update(gone)
        self._unplaced.difference_update(gone, placed)

    def _placed(self) -> dict[str, str]:
        """The services of sockets that had none when they were written."""
        found = {}
        for each in self._unplaced:
            consumer = self._connections.present.get(each)
            if consumer is not None and (service := _service_of(consumer)):
                found[each] = service
        return found

    def _dismiss(self, connection_id: str) -> None:
        consumer = self._connections.present.get(connection_id)
        if consumer is not None:
            problem = Problem(consumer.lang, "forbidden", "closed_by_administrator")
            consumer.close(CloseCode.ORIGIN_NOT_ALLOWED, problem)


def _row(consumer: SocketConsumer, server_id: str, now: datetime) -> Fresh:
    user_agent = headers_of(consumer.scope).get(b"user-agent", b"").decode("latin-1")
    return Fresh(
        id=consumer.connection_id,
        server_id=server_id,
        service=_service_of(consumer),
        path=_kept(path_within(consumer.scope), MAX_TEXT),
        address=_kept(address_of(consumer.scope), MAX_ADDRESS),
        user_agent=_kept(user_agent, MAX_TEXT),
        principal=key_of(consumer.principal),
        opened_at=now,
    )


def _service_of(consumer: SocketConsumer) -> str:
    """The service that the client addressed, else that of its first session; '' for none yet."""
    if consumer.service is not None:
        return consumer.service
    session = next(iter(consumer.attached.values()), None)
    return "" if session is None else str(session.service)


def _kept(text: str, length: int) -> str:
    """What a database can store of a client's text."""
    text = text[:length]
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "?" for each in text)
