"""Jobs that a cluster still has although their instances have ended: they are stopped and deleted.

One that is stopped while it waits for a node, say, goes on waiting, and ends once it gets one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Protocol

import structlog

from services.supervision.launchers.ray_cluster import JobRefused, Listed

logger = structlog.get_logger(__name__)

LIST_S = 300.0
"""Seconds between two looks at all jobs of the cluster."""

MOST = 1000
"""Leftovers that are seen to between two looks."""


class JobServer(Protocol):
    """What is asked of it: see `Cluster`."""

    def list_all(self) -> list[Listed]: ...

    def stop(self, job_id: str) -> None: ...

    def forget(self, job_id: str) -> None: ...


class Leftovers:
    """Of the jobs with this mark: the cluster may have those of other sites as well.

    `living`: the instances that have not ended; each is known there before its job is submitted.
    Synchronous.
    """

    def __init__(
        self,
        cluster: JobServer,
        mark: str,
        living: Callable[[], Collection[str]],
    ) -> None:
        self._cluster = cluster
        self._mark = mark
        self._living = living
        self._listed_at = float("-inf")
        self._left: deque[Listed] = deque()
        self._refused: set[str] = set()
        """Jobs of which it has been said that they can't be removed."""

    def tidy(self) -> None:
        """Asks the cluster one thing at most. Raises `ClusterAway`, `JobRefused`, and what `living`
        raises; after these, all jobs are looked at again when that is due.
        """
        if self._left:
            self._remove(self._left.popleft())
        elif self._mark and time.monotonic() - self._listed_at >= LIST_S:
            self._listed_at = time.monotonic()
            self._left.extend(self._found())

    def _found(self) -> list[Listed]:
        ours = [job for job in self._cluster.list_all() if job.mark == self._mark]
        living = self._living() if ours else ()
        found = [job for job in ours if job.id not in living][:MOST]
        self._refused &= {job.id for job in found}
        return found

    def _remove(self, job: Listed) -> None:
        """A stopped job is deleted after the next look: it takes a moment to end."""
        try:
            if job.has_ended:
                self._cluster.forget(job.id)
            else:
                self._cluster.stop(job.id)
        except JobRefused as error:
            if job.id not in self._refused:
                self._refused.add(job.id)
                logger.warning("job_not_removed", instance_id=job.id, error=str(error))
        else:
            logger.info("job_removed", instance_id=job.id, has_ended=job.has_ended)
