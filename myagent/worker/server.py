"""The worker's end of its links: who dials is answered, and runs are started for it.

Agents and links share one loop. It is plain asyncio, as agent code expects.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Literal

from myagent.tool.containment import abandoned_tasks, abandoned_threads
from myagent.worker.doors import TcpDoor
from myagent.worker.links import Link
from myagent.worker.listening import Tcp
from myagent.worker.protocol import (
    VERSION,
    Accept,
    AgentInfo,
    Cancel,
    Debugging,
    Decide,
    Drain,
    Draining,
    Forget,
    FromServer,
    FromWorker,
    Ping,
    Pong,
    Ready,
    Refuse,
    Report,
    RunKey,
    Start,
)
from myagent.worker.report import watch_lag
from myagent.worker.runs import CANCEL_GRACE_S, Run
from myagent.worker.sessions import Sessions, Source

MAX_LINKS = 256
"""Servers are few; more than this dial by mistake."""

LEAVE_S = 2.0
"""How long the other ends may take to read the last frames."""

logger = logging.getLogger(__name__)

End = Literal["drained", "orphaned"]


class LinkServer:
    """Listens with `open`; `until_end` returns why it is to end, `close` ends it.

    `orphan_after_s`: it is to end when it has had no link for so long; None:
    never. Its methods belong to the loop.
    """

    def __init__(
        self,
        source: Source,
        agent: AgentInfo,
        instance_id: str,
        *,
        orphan_after_s: float | None = None,
    ) -> None:
        self._sessions = Sessions(source)
        self._agent = agent
        self._instance_id = instance_id
        self._orphan_after_s = orphan_after_s
        self._links: set[Link] = set()
        self._connected: set[Link] = set()
        self._left = asyncio.Event()
        self._end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._loneliness: asyncio.TimerHandle | None = None
        self._draining: asyncio.Task[None] | None = None
        self._lag: asyncio.Task[None] | None = None
        self._listener: asyncio.Server | None = None
        self._door: TcpDoor | None = None

    async def open(self, listening: socket.socket | None, tcp: Tcp | None = None) -> None:
        """Takes the links that wait at the Unix socket or on TCP, and those that come."""
        loop = asyncio.get_running_loop()
        self._lag = loop.create_task(watch_lag(self._note_lag))
        self._watch_loneliness()
        new_link = partial(Link, self)
        if listening is not None:
            self._listener = await loop.create_unix_server(new_link, sock=listening)
        if tcp is not None:
            self._door = TcpDoor(tcp.socket, tcp.context, new_link)

    async def until_end(self) -> End:
        return await asyncio.shield(self._end)

    def drain(self) -> None:
        """Takes no new runs; ends when those that run are over. May be called twice."""
        if self._draining is not None:
            return
        logger.info("draining running=%d", self._sessions.running)
        self._announce(Draining())
        if self._door is not None:
            # Its successor may listen at the same socket: who dials that one must not come here.
            self._door.close()
        self._sessions.drain()
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    def tell_debugging(self, *, is_on: bool) -> None:
        """Somebody sits at a debugger's prompt, which blocks the loop, or has left it."""
        self._announce(Debugging(is_on))
        for link in list(self._links):
            link.flush()

    async def close(self) -> None:
        """Cancels what runs and ends the links, in bounded time."""
        if self._listener is not None:
            self._listener.close()
        if self._door is not None:
            self._door.close()
        for task in filter(None, (self._draining, self._lag)):
            task.cancel()
        if self._loneliness is not None:
            self._loneliness.cancel()
        await self._sessions.stop(CANCEL_GRACE_S)
        for link in list(self._connected):
            link.hang_up()
        try:
            async with asyncio.timeout(LEAVE_S):
                while self._connected:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            logger.warning("links_cut count=%d", len(self._connected))
            for link in list(self._connected):
                link.cut()

    @property
    def report(self) -> Report:
        """Without the lag, which each link is told for itself."""
        sessions = self._sessions
        abandoned = abandoned_threads() + abandoned_tasks() + len(sessions.abandoned)
        return Report(sessions.running, len(sessions), 0.0, abandoned)

    # What links tell: see `links.Host`.

    def connected(self, link: Link) -> None:
        self._connected.add(link)
        if len(self._connected) > MAX_LINKS:
            logger.warning("too_many_links")
            link.cut()

    def opened(self, link: Link) -> None:
        self._links.add(link)
        self._watch_loneliness()
        link.send(Ready(VERSION, self._instance_id, os.getpid(), self._agent))
        if self._draining is not None:
            link.send(Draining())

    def heard(self, link: Link, message: FromServer) -> None:
        match message:
            case Start():
                self._sessions.start(message, link)
            case Accept(key):
                self._tell(key, Run.accept)
            case Refuse(key):
                self._tell(key, Run.refuse)
            case Decide(key, step_id, decision):
                self._tell(key, lambda run: run.decide(step_id, decision))
            case Cancel(key):
                self._tell(key, Run.cancel)
            case Forget(session_id, epoch):
                self._sessions.forget(session_id, epoch)
            case Drain():
                self.drain()
            case Ping(number):
                self._answer_ping(link, number)

    def closed(self, link: Link) -> None:
        self._connected.discard(link)
        self._links.discard(link)
        self._left.set()
        self._watch_loneliness()

    # Inside.

    def _tell(self, key: RunKey, tell: Callable[[Run], None]) -> None:
        run = self._sessions.find(key)
        if run is not None:
            tell(run)

    def _answer_ping(self, link: Link, number: int) -> None:
        report = self.report
        link.send(
            Pong(
                number,
                Report(report.running, report.sessions, round(link.lag_ms, 1), report.abandoned),
            )
        )
        link.lag_ms = 0.0

    def _announce(self, message: FromWorker) -> None:
        for link in list(self._links):
            link.send(message)

    async def _drain(self) -> None:
        await self._sessions.drained(CANCEL_GRACE_S)
        self._set_end("drained")

    def _note_lag(self, lag_ms: float) -> None:
        for link in self._links:
            link.lag_ms = max(link.lag_ms, lag_ms)

    def _watch_loneliness(self) -> None:
        if self._loneliness is not None:
            self._loneliness.cancel()
            self._loneliness = None
        if self._orphan_after_s is not None and not self._links:
            loop = asyncio.get_running_loop()
            self._loneliness = loop.call_later(self._orphan_after_s, self._set_end, "orphaned")

    def _set_end(self, end: End) -> None:
        if not self._end.done():
            self._end.set_result(end)
