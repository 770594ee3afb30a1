"""The conversations of a server: from its start to its end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from django.conf import settings

from agents import chores
from agents.directory import Directory
from agents.limits.places import PUBLISH_S
from agents.ownership import followers, requests, servers
from agents.ownership.lease import Lease
from agents.runs.workers import Workers
from agents.runtime.once import Once
from agents.sessions.elsewhere import Elsewhere
from agents.sessions.forks import Forks
from agents.sessions.gauges import LoopLag
from agents.sessions.holding import Sessions
from agents.sessions.hub import Hub
from agents.sessions.measuring import MEASURE_S, Measuring
from agents.sessions.neighbours import Neighbours
from agents.sessions.resources import Resources

logger = structlog.get_logger(__name__)

FORGET_SERVERS_AFTER = timedelta(days=1)
FORGET_SERVERS_S = 30.0
"""Seconds between two checks for servers to be removed from the table."""

RENEWAL_S = 1.0
"""Seconds that a renewal of the lease may take before its database counts as away."""


class Conversations:
    """The sessions that this server holds of the services in `directory`. `port` is their hub.

    `start` registers the server and starts to adopt the sessions of dead servers; `drain` lets runs
    finish; `stop` releases everything. Both may be called twice. `service` and `source`: of a
    server of one agent file.
    """

    def __init__(
        self, directory: Directory, workers: Workers, *, service: str = "", source: str = ""
    ) -> None:
        self.directory = directory
        self.workers = workers
        self.resources = Resources(directory, workers)
        self.journal = self.resources.journal
        self.database = self.resources.database
        self.background = self.resources.background
        self.lease = Lease(
            service,
            source,
            report=self.report,
            journal_moved_at=lambda: self.journal.moved_at,
        )
        self.resources.server_id = lambda: self.lease.server_id
        self._sessions = Sessions(self.resources, self.lease)
        self._neighbours = Neighbours(self.resources, self._sessions, self.lease)
        self.port = Hub(self.resources, self._sessions)
        self.elsewhere = Elsewhere(self.resources)
        self.forks = Forks(self.resources, self._sessions)
        self._lag = LoopLag()
        self._measuring = Measuring(self.journal)
        self.connection_count: Callable[[], int] = lambda: 0
        self.forwarded: Mapping[str, int] = {}
        """The number of sockets of each external service."""
        self.says_besides: Callable[[], dict[str, Any]] = dict
        """Returns additions to the server's report."""
        self._end = Once(self._give_everything_up)

    async def start(self) -> None:
        """Raises `django.db.Error` if the database is away; then it may be called again.

        Does nothing if `stop` was called before or meanwhile.
        """
        if self._end.has_begun:
            return
        self.journal.start()
        await self.lease.register()
        if self._end.has_begun:
            return
        self.background.repeat(0, self._begin_anew_when_lost)
        # Nobody waits for it: a client can resume its session before it is adopted here.
        self.background.repeat(settings.MYAGENT_ADOPT_S, self._adopt, is_due=True)
        self._neighbours.start()
        self.resources.rates.start(self.background)
        self.background.repeat(PUBLISH_S, self._sessions.capacity.publish, is_due=True)
        self.background.repeat(0, self._lag.watch)
        self.background.repeat(MEASURE_S, self._measure, is_due=True)
        self.background.repeat(0, self._sweep_again)
        self.background.repeat(FORGET_SERVERS_S, self._forget_servers)
        for pause_s, work in chores.configured():
            self.background.repeat(pause_s, partial(work, self.database), is_due=True)

    async def drain(self, grace_s: float) -> None:
        """Takes no new work and waits for the current runs, except those that wait for people."""
        self.is_draining = True
        try:
            async with asyncio.timeout(grace_s):
                while any(session.status == "running" for session in self._sessions):
                    self.resources.progress.clear()
                    await self.resources.progress.wait()
        except TimeoutError:
            logger.warning("runs_left_to_be_continued")

    async def stop(self) -> None:
        """Releases the sessions; their next owner continues unfinished runs from the log.

        May be called during the start. Cancelling is safe: the work goes on, and the next call
        waits for it. A database that hangs does not delay it.
        """
        await self._end()

    async def _give_everything_up(self) -> None:
        self.is_draining = True
        await self._neighbours.stop()
        await self.background.stop()
        await self.resources.rates.stop()
        await self.port.stop()
        await self._sessions.leave()
        self.workers.close()
        await self.journal.stop()
        await self.lease.end()
        await self.database.stop()

    @property
    def is_draining(self) -> bool:
        """Whether no new work is taken."""
        return self.resources.is_draining

    @is_draining.setter
    def is_draining(self, is_draining: bool) -> None:
        self.resources.is_draining = is_draining

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    def clients_of(self, service: str) -> int:
        """The sockets that are attached to sessions of the service, or have one open to it."""
        return self.resources.clients[service] + self.forwarded.get(service, 0)

    @property
    def storage_is_available(self) -> bool:
        """Whether messages can be saved. Without any, the renewals of the lease tell."""
        answered_at = max(self.journal.answered_at, self.lease.answered_at)
        patience_s = 2 * settings.MYAGENT_RENEW_S + RENEWAL_S
        return self.journal.is_available and time.monotonic() - answered_at < patience_s

    @property
    def running_count(self) -> int:
        return sum(session.current is not None for session in self._sessions)

    def end_runs(self, service: str) -> None:
        """Ends the service's runs that are carried here, as interrupted."""
        for session in self._sessions.of(service):
            session.end_runs()

    # Internals.

    async def _begin_anew_when_lost(self) -> None:
        """Another server declared this one dead: its sessions no longer belong to this one."""
        await self.lease.until_lost()
        logger.warning("lease_lost", server_id=self.lease.server_id)
        await self.lease.register()
        # This includes sessions that were created meanwhile.
        for session in self._sessions:
            self._sessions.lose(session)
        logger.info("lease_taken_anew", server_id=self.lease.server_id)

    async def _adopt(self) -> None:
        if not self.is_draining:
            await self._sessions.opening.adopt_orphans()

    async def _sweep_again(self) -> None:
        await asyncio.sleep(self._sessions.sweep_s)
        await self._sweep()

    async def _sweep(self) -> None:
        """Removes idle sessions from memory."""
        await self._sessions.give_up_idle()

    async def _forget_servers(self) -> None:
        """Removes dead servers from the table, and what they followed and asked."""
        await self.database.run(servers.forget_ended_servers, FORGET_SERVERS_AFTER)
        await self.database.run(followers.forget_ended)
        await self.database.run(requests.sweep)

    async def _measure(self) -> None:
        """Sets the metrics that tell how things stand now."""
        self._measuring.measure(
            self._sessions,
            self.connection_count(),
            storage_is_available=self.storage_is_available,
        )

    def report(self) -> dict[str, Any]:
        """The report that the server stores with its lease; `services` by name."""
        return {
            "pid": os.getpid(),
            "connections": self.connection_count(),
            "active_sessions": self.session_count,
            "running": self.running_count,
            "loop_lag_ms": self._lag.worst_ms(),
            "recorder_failures": self.journal.recorder_failures,
            "services": self._services_report(),
            **self.says_besides(),
        }

    def _services_report(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        sockets: dict[str, set[str]] = {}
        for session in self._sessions:
            one = found.setdefault(session.service, {"active_sessions": 0, "running": 0})
            one["active_sessions"] += 1
            one["running"] += session.current is not None
            ids = sockets.setdefault(session.service, set())
            ids.update(socket.connection_id for socket in session.audience.sockets)
        for followed in self._sessions.following:
            found.setdefault(followed.service, {"active_sessions": 0, "running": 0})
            ids = sockets.setdefault(followed.service, set())
            ids.update(socket.connection_id for socket in followed.audience.sockets)
        for service, gauges in self.resources.gauges.items():
            found.setdefault(service, {"active_sessions": 0, "running": 0}).update(gauges.report())
        for service, ids in sockets.items():
            found[service]["connections"] = len(ids)
        for service, count in self.forwarded.items():
            found.setdefault(service, {})["connections"] = count
        return found
