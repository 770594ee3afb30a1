"""What all sessions of a server share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from django.conf import settings

from agents.directory import Directory
from agents.limits.messages import MessageRates
from agents.limits.rates import Rates
from agents.limits.runs import RunsAtOnce
from agents.log import observers, recorders
from agents.log.journal import Journal
from agents.runs.workers import Workers
from agents.runtime.background import Background
from agents.runtime.database import DatabaseThreads
from agents.sessions.gauges import Gauges
from agents.sessions.relay import Relay


class Resources:
    """Its methods belong to the event loop. `Conversations` starts and stops what is here.

    `progress` is set whenever a session has moved on. While `is_draining`, no
    new work is taken.
    """

    def __init__(self, directory: Directory, workers: Workers) -> None:
        self.directory = directory
        self.workers = workers
        self.journal = Journal(recorders.configured())
        # One that can't be imported is found now, and not by the first commit.
        observers.registered()
        self.database = DatabaseThreads()
        self.background = Background()
        self.relay = Relay(self.background)
        self.server_id: Callable[[], str] = str
        """The id under which this server owns sessions."""
        self.rates = Rates(settings.REDIS_URL)
        self.message_rates = MessageRates(self.rates)
        self.runs_at_once = RunsAtOnce(self.database, lambda: self.server_id())
        self.progress = asyncio.Event()
        self.is_draining = False
        self.clients: Counter[str] = Counter()
        """The sockets that are attached to sessions, by service."""
        self.held_elsewhere: Counter[str] = Counter()
        """The sessions of external services that sockets are attached to, or wait for."""
        self._gauges: dict[str, Gauges] = {}

    def may_wait(self, service: str) -> bool:
        """Whether the service has a worker or is about to get one."""
        listed = self.directory.find(service)
        return (listed is not None and listed.is_expected) or self.workers.of(service).has_worker

    def count_clients(self, service: str, change: int) -> None:
        self.clients[service] += change

    def gauges_of(self, service: str) -> Gauges:
        """The record of the service's turns."""
        return self._gauges.setdefault(service, Gauges())

    @property
    def gauges(self) -> dict[str, Gauges]:
        """The records of services that had a turn here, by name."""
        return self._gauges
