"""The present state of a server, for metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import Gauge

from agents import metrics
from agents.log.journal import Journal
from agents.runtime import bell
from agents.sessions.live import LiveSession

MEASURE_S = 5.0
"""Seconds between two measurements: a process that is not asked itself is seen as it was then."""


class Measuring:
    """Its methods belong to the event loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._services: set[str] = set()
        """Those that had a session here: they are 0 later, and not what they were last."""

    def measure(
        self, sessions: Iterable[LiveSession], connections: int, *, storage_is_available: bool
    ) -> None:
        live: Counter[str] = Counter()
        running: Counter[str] = Counter()
        queued: Counter[str] = Counter()
        for session in sessions:
            live[session.service] += 1
            running[session.service] += session.current is not None
            queued[session.service] += session.queued
        self._services |= live.keys()
        for gauge, counts in (
            (metrics.SESSIONS, live),
            (metrics.RUNNING, running),
            (metrics.QUEUED, queued),
        ):
            self._set(gauge, counts)
        metrics.CONNECTIONS.set(connections)
        metrics.BACKLOG.set(self._journal.backlog)
        metrics.STORAGE_AVAILABLE.set(storage_is_available)
        metrics.REDIS_UP.set(bell.hears_all())

    def _set(self, gauge: Gauge, counts: Counter[str]) -> None:
        for service in self._services:
            gauge.labels(service).set(counts[service])
