"""How many conversations of a service all servers of the site hold at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, TypeVar

import structlog
from django.db import Error as DatabaseFailure
from django.db.models import Count, Sum

from agents.models import LEASE_HOLDS, Occupancy, Run, Server
from agents.runtime.database import DatabaseThreads
from agents.runtime.explaining import explain

T = TypeVar("T")

logger = structlog.get_logger(__name__)

PUBLISH_S = 1.0
"""Seconds after which other servers know what was let go, or taken without asking for a place."""

CLAIM_S = 5.0
"""Seconds that a claim may take; then what is known decides."""

RETRY_AFTER_S = 5
"""Nobody knows when a conversation is left."""


class Places:
    """Those of services with a limit; for others there is nothing to ask and nothing to write.

    Each server writes how many it holds, and reads what the others wrote: whoever takes the last
    place has written that first, so two servers never both get it while the database answers.
    Servers without a valid lease do not count, but their unfinished runs do: somebody will go on
    with them. `count`: how many this server holds of a service. Its methods belong to the event
    loop.
    """

    def __init__(
        self,
        database: DatabaseThreads,
        server_id: Callable[[], str],
        count: Callable[[str], int],
    ) -> None:
        self._database = database
        self._server_id = server_id
        self._count = count
        self._written: dict[tuple[str, str], int] = {}
        """What is in the database, by server and service, as far as that is sure."""
        self._begun: list[Future[Any]] = []
        self._elsewhere: dict[str, int] = {}
        self._published_at = -PUBLISH_S
        self._writing = asyncio.Lock()

    def is_full(self, service: str, limit: int) -> bool:
        """Whether there is no place left, as far as is known without a query."""
        elsewhere = self._elsewhere.get(service, 0)
        return elsewhere >= limit or self._count(service) + elsewhere >= limit

    async def claim(self, service: str, limit: int) -> bool:
        """Whether a further conversation may begin here; it has to, before anything is awaited.

        While the database is away or slow, what was known of other servers counts. Cancelling is
        safe.
        """
        try:
            async with asyncio.timeout(CLAIM_S), self._writing:
                return await self._claim(service, limit)
        except (DatabaseFailure, TimeoutError) as error:
            logger.warning("storage_away", error=explain(error))
            return not self.is_full(service, limit)

    async def _claim(self, service: str, limit: int) -> bool:
        mine = self._count(service) + 1
        seems_full = self.is_full(service, limit)
        if mine > limit or (seems_full and self._is_fresh):
            return False
        own_id = self._server_id()
        if seems_full:
            # Those who are refused should write nothing.
            self._elsewhere[service] = await self._run(_count_others, own_id, service)
            mine = self._count(service) + 1
            if mine + self._elsewhere[service] > limit:
                return False
        last_written = self._write_anew(own_id, [service])
        elsewhere = await self._run(_claim, own_id, service, mine, limit)
        self._elsewhere[service] = elsewhere
        is_granted = mine + elsewhere <= limit
        if last_written:
            self._written[own_id, service] = mine if is_granted else mine - 1
        return is_granted

    async def publish(self, services: Collection[str]) -> None:
        """Writes what has changed, and reads what others hold. Raises `django.db.Error`.

        `services`: those with a limit. It takes a limited time. Cancelling is safe.
        """
        if not services:
            return
        try:
            async with asyncio.timeout(CLAIM_S), self._writing:
                await self._publish(services)
        except TimeoutError:
            logger.warning("storage_away", error="too slow")

    async def _publish(self, services: Collection[str]) -> None:
        own_id = self._server_id()
        held = {name: self._count(name) for name in services}
        changed = {
            name: count
            for name, count in held.items()
            # What is not known may be anything.
            if count != self._written.get((own_id, name))
        }
        last_written = self._write_anew(own_id, changed)
        self._elsewhere = await self._run(_publish, own_id, changed, list(services))
        self._published_at = asyncio.get_running_loop().time()
        self._written = {(own_id, name): count for name, count in held.items()}
        if not last_written:
            self._write_anew(own_id, changed)

    @property
    def _is_fresh(self) -> bool:
        """Whether what others hold was read as lately as is ever known."""
        return asyncio.get_running_loop().time() - self._published_at < PUBLISH_S

    def _write_anew(self, own_id: str, services: Collection[str]) -> bool:
        """What is in the database is not known until it is written.

        False if a late write, which nobody awaits any more, may still come after that one.
        """
        for service in services:
            self._written.pop((own_id, service), None)
        return all(work.done() for work in self._begun)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        """Cancelling is safe: what has begun is kept in mind until it has ended."""
        begun = self._database.submit(work, *args)
        self._begun = [begun, *(each for each in self._begun if not each.done())]
        return await asyncio.wrap_future(begun)


def _count_others(server_id: str, service: str) -> int:
    return _held_by_others(server_id, [service])[service]


def _held_by_others(server_id: str, services: Collection[str]) -> Counter[str]:
    """By service."""
    living = Server.objects.filter(LEASE_HOLDS)
    written = Occupancy.objects.filter(
        server__in=living.exclude(pk=server_id), service__in=services
    ).values_list("service")
    # Conversations that somebody will go on with.
    orphaned = (
        Run.objects.filter(
            status__in=Run.UNFINISHED,
            session__service__in=services,
            session__closed_at__isnull=True,
        )
        .exclude(session__owner__in=living)
        .exclude(session__owner_id=server_id)
        .values_list("session__service")
    )
    held = Counter({name: int(count) for name, count in written.annotate(Sum("sessions"))})
    held.update(dict(orphaned.annotate(Count("session", distinct=True))))
    return held


def _claim(server_id: str, service: str, mine: int, limit: int) -> int:
    """Writes that the server holds so many, unless that is too many; how many others hold."""
    _write(server_id, service, mine)
    elsewhere = _count_others(server_id, service)
    if mine + elsewhere > limit:
        _write(server_id, service, mine - 1)
    return elsewhere


def _publish(server_id: str, changed: dict[str, int], services: list[str]) -> dict[str, int]:
    for service, count in changed.items():
        _write(server_id, service, count)
    return _held_by_others(server_id, services)


def _write(server_id: str, service: str, count: int) -> None:
    own = Occupancy.objects.filter(server_id=server_id, service=service)
    # Nobody else writes this row.
    if not own.update(sessions=count):
        Occupancy.objects.create(server_id=server_id, service=service, sessions=count)
