"""One socket's view of one session: every durable event once, in order, at the socket's pace.

A subscription is a cursor into the log. While the socket keeps up it is fed
live; when it lags (a replay, a slow reader) it reads from the log until it has
caught up. So nothing piles up for a slow socket, and nothing is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from django.db import Error as DatabaseFailure

from agents.log.entry import Logged
from agents.log.reading import PAGE, page_after
from agents.ports import Socket
from agents.runtime.background import failure_of
from agents.runtime.database import DatabaseThreads
from agents.runtime.explaining import explain
from agents.transients import Transient

logger = structlog.get_logger(__name__)

RETRY_S = 0.5

PAGE_CHARACTERS = 256 * 1024
"""Entries are read in pages of this size, because each of many slow sockets may hold a page."""


class Position(Protocol):
    """A session's log as this process knows it: `last_seq` is its newest entry."""

    session_id: str
    last_seq: int


class TextSoFar(Protocol):
    """The text of the step that is being written."""

    run_id: str
    step: int
    text: str


class Subscription:
    """It is created live at `seq`; `replay` first sends what came after that.

    `current` returns the text that is being written; `on_failed` is called when a replay
    fails, after which the socket would get no more events.
    """

    def __init__(
        self,
        log: Position,
        socket: Socket,
        seq: int,
        database: DatabaseThreads,
        *,
        current: Callable[[], TextSoFar | None],
        on_failed: Callable[[], None],
    ) -> None:
        self.socket = socket
        self.seq = seq
        self._log = log
        self._database = database
        self._current = current
        self._on_failed = on_failed
        self._is_live = True
        self._misses_text = False
        self._pump: asyncio.Task[None] | None = None

    def offer(self, logged: Logged) -> None:
        """The next entry of the log."""
        if not self._is_live or logged.seq <= self.seq:
            return
        if self.socket.push(logged):
            self.seq = logged.seq
        else:
            self._lag()

    def offer_text(self, run_id: str, step: int, offset: int, text: str) -> None:
        if not self._is_live:
            return
        current = self._current()
        if self._misses_text and current is not None:
            offset, text = 0, current.text
        took = self.socket.push_text(self._log.session_id, run_id, step, offset, text)
        self._misses_text = not took

    def tell(self, transient: Transient) -> None:
        if self._is_live:
            self.socket.tell(transient)

    def replay(self, first: Sequence[Logged] = (), *, announce: Callable[[], None]) -> None:
        """Catches up with the log from `seq`, then calls `announce` and goes live.

        `first`: the entries that come next, if they were read already.
        """
        # A socket that replays other sessions would keep them in memory for long.
        self._lag(announce, () if self.socket.replaying.locked() else first)

    def turn_to(
        self,
        log: Position,
        *,
        current: Callable[[], TextSoFar | None],
        on_failed: Callable[[], None],
    ) -> None:
        """The session has changed its owner: continues where it stands, with other sources."""
        self._log, self._current, self._on_failed = log, current, on_failed
        if self._is_live and self.seq < log.last_seq:
            self._lag()

    def close(self) -> None:
        self._is_live = False
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None

    def _lag(
        self, announce: Callable[[], None] | None = None, first: Sequence[Logged] = ()
    ) -> None:
        self._is_live = False
        self._pump = asyncio.get_running_loop().create_task(self._catch_up(announce, first))
        self._pump.add_done_callback(self._on_pump_done)

    def _on_pump_done(self, pump: asyncio.Task[None]) -> None:
        if (error := failure_of(pump)) is not None:
            logger.error("replay_failed", exc_info=error)
            self._on_failed()

    async def _catch_up(self, announce: Callable[[], None] | None, first: Sequence[Logged]) -> None:
        if first:
            async with self.socket.replaying:
                await self._push_all(first)
            del first
        # Between the last comparison and going live nothing is awaited: no entry can slip by.
        while self.seq < self._log.last_seq:
            async with self.socket.replaying:
                await self.socket.room()
                end = self._log.last_seq
                page, is_last = await self._read_patiently()
                await self._push_all(page)
                del page
            if is_last:
                # The log was read to its end: what is missing up to there was pruned.
                self.seq = max(self.seq, end)
        if announce is not None:
            announce()
        self._is_live = True
        self._pump = None
        self._show_text_so_far()

    async def _push_all(self, page: Sequence[Logged]) -> None:
        for logged in page:
            if logged.seq > self._log.last_seq:
                # Committed but not announced yet: a client that has it would resume beyond the
                # session's end.
                return
            while not self.socket.push(logged):
                await self.socket.room()
            self.seq = logged.seq

    async def _read_patiently(self) -> tuple[list[Logged], bool]:
        while True:
            try:
                return await self._database.run(
                    page_after, self._log.session_id, self.seq, PAGE, PAGE_CHARACTERS
                )
            except DatabaseFailure as error:
                logger.warning("replay_waits_for_storage", error=explain(error))
                await asyncio.sleep(RETRY_S)

    def _show_text_so_far(self) -> None:
        current = self._current()
        if current is not None and current.text:
            self.offer_text(current.run_id, current.step, 0, current.text)
