"""The workers that this server has links to, and the runs that wait for one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import structlog
from django.conf import settings

from agents.rendezvous import place_of
from agents.runs.attempts import Breakable, give_up
from agents.runs.link import Link
from myagent.worker.protocol import AgentInfo

logger = structlog.get_logger(__name__)


Why = Literal["stopped", "unavailable"]
"""Why runs get no worker: their service was stopped, or has none although it should."""


class Placeable(Breakable, Protocol):
    """A run that needs a worker. Called on the event loop."""

    @property
    def is_suspect(self) -> bool:
        """Whether the run may be killing workers: it shares no worker with another such run."""

    @property
    def affinity(self) -> str:
        """A key by which a worker is chosen; '' for the one with the fewest runs."""

    def on_placed(self, link: Link) -> None:
        """The run was given to a worker."""

    def on_unplaced(self, why: Why) -> None:
        """The run has to end: no worker will come, or none has come for too long."""


class Pool:
    """The workers of one service. Its methods belong to the event loop."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.agent: AgentInfo | None = None
        """What the newest worker says of its agent; kept when that one ends."""
        self.shares_log = False
        """Whether the workers log to where this process logs: what they say is not said again."""
        self._links: list[Link] = []
        self._waiting: list[Placeable] = []
        self._patience: asyncio.TimerHandle | None = None
        self._given_up: Why | None = None
        self._turns: dict[Link, int] = {}
        """When workers were last chosen for a session that had none."""
        self._counter = itertools.count(1)

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._links))

    @property
    def has_worker(self) -> bool:
        """Whether a run could be started now."""
        return any(not (link.is_draining or link.is_closed) for link in self._links)

    @property
    def silent_for_s(self) -> float:
        """Seconds for which its least responsive worker has not answered; 0.0 if all answer."""
        return max((link.silent_for_s for link in self._links), default=0.0)

    def add(self, link: Link) -> None:
        """Adds a worker; waiting runs are started."""
        self.agent = link.agent
        self._given_up = None
        self._links.append(link)
        link.on_closed = self._on_closed
        self._serve_waiting()

    def place(self, run: Placeable, preferred: Link | None) -> None:
        """Gives the run to a worker, now or as soon as there is one for it."""
        if run in self._waiting:
            return
        link = self._choose(run, preferred)
        if link is not None:
            self._tell(run, lambda: run.on_placed(link))
            return
        if self._given_up is not None:
            # Deferred: whoever places a run does not expect it to end meanwhile.
            asyncio.get_running_loop().call_soon(self._tell_unplaced, run, self._given_up)
            return
        self._waiting.append(run)
        self._watch_patience()

    def withdraw(self, run: Placeable) -> None:
        """The run does not need a worker any more. May be called twice."""
        if run in self._waiting:
            self._waiting.remove(run)

    def note_room(self) -> None:
        """Called when a run has ended: a waiting one may take its place."""
        if self._waiting:
            self._serve_waiting()

    def expect(self) -> None:
        """A worker is expected: runs may wait for it."""
        self._given_up = None

    def give_up(self, why: Why) -> None:
        """No worker will come until one is expected again: runs that wait for one end."""
        self._given_up = why
        self._end_waiting(why)

    def close(self) -> None:
        """Ends the links; the workers stop what they do for this server."""
        self._stop_patience()
        self._waiting.clear()
        for link in self:
            link.close()

    def _choose(self, run: Placeable, preferred: Link | None) -> Link | None:
        """The session's own worker while it lives, else by affinity, else one with few runs."""
        free = [
            link
            for link in self._links
            if not (link.is_draining or link.is_closed or (run.is_suspect and link.has_suspect))
        ]
        if preferred in free:
            return preferred
        # A worker that does not answer is the last choice: having few runs, it would get all new
        # sessions.
        answering = [link for link in free if not link.silent_for_s] or free
        if not answering:
            return None
        if run.affinity:
            by_id = {link.instance_id: link for link in answering}
            return by_id[place_of(run.affinity, by_id)]
        # Equal ones take turns: sessions stay, so the first would carry those of a quiet day.
        chosen = min(answering, key=lambda link: (link.running, self._turns.get(link, 0)))
        self._turns[chosen] = next(self._counter)
        return chosen

    def _end_waiting(self, why: Why) -> None:
        self._stop_patience()
        waiting, self._waiting = self._waiting, []
        for run in waiting:
            self._tell_unplaced(run, why)

    def _tell_unplaced(self, run: Placeable, why: Why) -> None:
        self._tell(run, lambda: run.on_unplaced(why))

    def _tell(self, run: Placeable, tell: Callable[[], None]) -> None:
        """Never raises: the run may be one of many."""
        try:
            tell()
        except Exception as error:
            give_up(run, error, service=self.service)

    def _serve_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for run in waiting:
            self.place(run, None)
        if self.has_worker:
            self._stop_patience()

    def _on_closed(self, link: Link) -> None:
        self._links.remove(link)
        self._turns.pop(link, None)
        if self._waiting:
            self._watch_patience()
        logger.info("worker_left", service=self.service, pid=link.pid)

    def _watch_patience(self) -> None:
        if self._patience is None and not self.has_worker:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(settings.MYAGENT_WORKER_WAIT_S, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        logger.error("no_worker", service=self.service, runs=len(self._waiting))
        self._end_waiting("unavailable")

    def _stop_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class Workers:
    """The pools of this server, by service."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}

    def __iter__(self) -> Iterator[Pool]:
        return iter(list(self._pools.values()))

    def of(self, service: str) -> Pool:
        """The service's pool, made when it is first asked for."""
        pool = self._pools.get(service)
        if pool is None:
            pool = self._pools[service] = Pool(service)
        return pool

    def close(self) -> None:
        for pool in self:
            pool.close()
