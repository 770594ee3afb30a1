"""The end of the log, read for all viewers of a server together, as long as there are any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from weakref import WeakKeyDictionary

import structlog

from agents.runtime import background
from agents.runtime.bell import Bell
from agents.runtime.database import DatabaseThreads
from agents.sockets.handshake import Host
from traces.live import changes
from traces.live.gaps import Gaps
from traces.live.hearing import woken
from traces.live.retrying import ask
from traces.live.ringing import BELL
from traces.live.viewer import Viewer
from traces.live.watched import read_for

logger = structlog.get_logger(__name__)

POLL_S = 0.2
"""Seconds after which the log is read even if nobody says that it has grown."""

GATHER_S = 0.01
"""Seconds for which more is gathered, once something is new."""


class Tail:
    """Its methods belong to the event loop.

    `high`: the newest entry that was seen. `cursor`: what came up to it has been passed on to all
    viewers, and nothing can appear there any more.
    """

    def __init__(self, database: DatabaseThreads) -> None:
        self.cursor = 0
        self._database = database
        self._gaps = Gaps(0)
        self._span_id = 0
        self._viewers: list[Viewer] = []
        self._has_begun = asyncio.Event()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def high(self) -> int:
        return self._gaps.high

    @asynccontextmanager
    async def watched_by(self, viewer: Viewer) -> AsyncIterator[None]:
        """Within the context, the viewer hears what changes. Raises what made the tail fail."""
        self._viewers.append(viewer)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            await self._until_begun(self._task)
            yield
        finally:
            self._viewers.remove(viewer)
            if not self._viewers:
                await self._end()

    async def until_failed(self) -> None:
        """Raises what made it fail, or returns once nobody watches."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _until_begun(self, task: asyncio.Task[None]) -> None:
        begun = asyncio.get_running_loop().create_task(self._has_begun.wait())
        try:
            await asyncio.wait([begun, task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await background.end([begun])
        if task.done():
            task.result()

    async def _end(self) -> None:
        task, self._task = self._task, None
        self._has_begun.clear()
        if task is not None:
            await background.end([task])

    async def _run(self) -> None:
        bell = Bell(BELL, self._wake.set, lambda words: self._wake.set())
        bell.start()
        try:
            with woken(self._wake):
                await self._read_on()
        finally:
            await bell.stop()

    async def _read_on(self) -> None:
        self._gaps, self._span_id = await ask(self._database, changes.start)
        self.cursor = self._gaps.low
        self._has_begun.set()
        is_whole = True
        while True:
            if is_whole:
                await self._until_news()
            self._wake.clear()
            gaps = self._gaps
            news = await ask(self._database, changes.news, gaps.high, gaps.ranges, self._span_id)
            gaps.note(news.ids, monotonic())
            gaps.expire(monotonic())
            self._span_id, is_whole = news.span_id, news.is_whole
            await self._pass_on(news.trace_ids)

    async def _until_news(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
                await asyncio.sleep(GATHER_S)

    async def _pass_on(self, trace_ids: Sequence[str]) -> None:
        """Viewers may come, leave and fall behind while it reads."""
        low = self._gaps.low
        waiting = {viewer for viewer in self._viewers if not viewer.is_live}
        for viewer in waiting:
            viewer.note_changed(trace_ids)
        live = {viewer for viewer in self._viewers if viewer.is_live}
        if trace_ids and live:
            wanting = [viewer.wanting(trace_ids) for viewer in live]
            found = await ask(self._database, read_for, trace_ids, wanting)
            for viewer in self._viewers:
                if viewer in live and viewer.is_live:
                    viewer.offer(found)
                elif viewer not in waiting:
                    viewer.note_changed(trace_ids)
        self.cursor = low
        for viewer in live:
            if viewer.is_live:
                viewer.cursor = low


_tails: WeakKeyDictionary[Host, Tail] = WeakKeyDictionary()


def tail_of(host: Host) -> Tail:
    """That of a server."""
    if host not in _tails:
        _tails[host] = Tail(host.database)
    return _tails[host]
