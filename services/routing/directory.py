"""The services as a server of the site knows them, and its links to their workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog

from agents.directory import Choice, Facts, Listed
from agents.ownership import servers
from agents.runs.link import Link
from agents.runs.link_keeper import LinkKeeper
from agents.runs.workers import Workers
from agents.runtime.background import Background
from agents.runtime.bell import Bell
from agents.runtime.database import DatabaseThreads
from services import doorbell
from services.routing.choosing import Choosing, clients_elsewhere
from services.routing.snapshot import Known, Snapshot, read
from services.supervision import abandoned, supervisor_lease
from services.supervision.launchers.local import LocalLauncher

SUPERVISOR_LOOK_S = 2.0
"""Seconds between two looks for a supervisor."""

logger = structlog.get_logger(__name__)

CLIENTS_LOOK_S = 2.0
"""Seconds between two reads of other servers' counts of clients."""


class SiteDirectory:
    """A `Directory`, and the `Feeder` of a site's server: its methods belong to the event loop.

    `on_leaving` is called once for each service that is stopped or unregistered: its runs are to
    end. `on_change` is called after every change. Exceptions of both are logged. `clients_here`:
    the number of this server's clients of a service; `server_id` returns this server's id.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._database = DatabaseThreads()
        self._background = Background()
        self._snapshot = Snapshot((-1, -1), {})
        self._is_supervised: bool | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._has_rung = asyncio.Event()
        self._bell = Bell(doorbell.BELL, self._has_rung.set)
        self._links = LinkKeeper("server")
        self._has_ceased = False
        self.on_leaving: Callable[[str], None] = lambda service: None
        self.on_change: Callable[[], None] = lambda: None
        self.clients_here: Callable[[str], int] = lambda service: 0
        self.server_id: Callable[[], str] = lambda: ""
        self._choosing = Choosing(lambda service: self.clients_here(service))

    # The directory.

    def find(self, service: str) -> Listed | None:
        known = self._snapshot.services.get(service)
        if known is None:
            external = self._snapshot.external.get(service)
            return None if external is None else external.listed
        return None if known.is_leaving else known.listed

    def choose(self, facts: Facts, *, without: Collection[str] = ()) -> Choice | None:
        return self._choosing.choose(facts, without=without)

    def choices(self) -> Sequence[str]:
        services = self._snapshot.services.items()
        here = [
            name
            for name, known in services
            if (known.is_running or known.listed.is_expected) and not known.is_leaving
        ]
        elsewhere = self._snapshot.external.items()
        return [*here, *(name for name, each in elsewhere if each.listed.is_expected)]

    def names(self) -> Sequence[str]:
        return list(self._snapshot.services)

    def external(self) -> Sequence[str]:
        return list(self._snapshot.external)

    def unhealthy(self) -> Collection[str]:
        return [name for name, known in self._snapshot.services.items() if known.is_unhealthy]

    def is_supervised(self) -> bool | None:
        return self._is_supervised

    async def refresh(self) -> None:
        """Reads again now. Concurrent callers share one read. Raises `django.db.Error`."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._look())
        await asyncio.shield(self._refreshing)

    @property
    def own_ports(self) -> dict[str, tuple[str, int]]:
        """The services' own addresses, by name."""
        found = self._snapshot.services.items()
        return {name: known.own_port for name, known in found if known.own_port is not None}

    # The feeder.

    def launch(self) -> None:
        """Does nothing: nothing can start before the database is ready."""

    async def start(self) -> None:
        """Raises `django.db.Error`; then it may be called again."""
        await self.refresh()
        self._bell.start()
        self._background.repeat(0, self._look_again)
        self._background.repeat(SUPERVISOR_LOOK_S, self._look_for_supervisor, is_due=True)
        self._background.repeat(abandoned.LOOK_S, self._end_abandoned)
        self._background.repeat(CLIENTS_LOOK_S, self._look_at_clients)

    async def cease(self) -> None:
        """Connects to no more workers; existing links stay. May be called twice."""
        self._has_ceased = True
        await self._bell.stop()
        await self._background.stop()

    async def stop(self) -> None:
        """Ends the links. May be called twice."""
        await self.cease()
        await self._links.end()
        await self._database.stop()

    # Internals.

    async def _end_abandoned(self) -> None:
        """Ends abandoned workers, as without a supervisor nothing else does."""
        own_id = self.server_id()

        def end_them() -> None:
            # Asked once for all: they are given much longer than an outage between two statements.
            by_lease = servers.judging(own_id).exists()
            abandoned.end_all(LocalLauncher(), by_lease=by_lease)

        await self._database.run(end_them)

    async def _look_for_supervisor(self) -> None:
        # Not told by a ring: a supervisor that is killed says nothing.
        self._is_supervised = await self._database.run(supervisor_lease.is_anybody_in_charge)

    async def _look_at_clients(self) -> None:
        """Reads how many clients other servers have, if a rule decides by it."""
        if self._choosing.counts_connections:
            own_id = self.server_id()
            self._choosing.clients_elsewhere = await self._database.run(clients_elsewhere, own_id)

    async def _look_again(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._bell.pause_s(doorbell.LOOK_S)):
                await self._has_rung.wait()
        self._has_rung.clear()
        await self.refresh()

    async def _look(self) -> None:
        found = await self._database.run(read, self._snapshot.revision)
        if found is None:
            return
        before, self._snapshot = self._snapshot.services, found
        self._choosing.take(found)
        for name, known in found.services.items():
            self._see_to(name, known)
        for name in before.keys() - found.services.keys():
            self._workers.of(name).give_up("stopped")
        for name in _over(before, found.services):
            # This includes runs that wait for people, whose response could not be carried out any
            # more.
            _tell(self.on_leaving, name)
        _tell(self.on_change)

    def _see_to(self, name: str, known: Known) -> None:
        for instance_id, address in known.workers.items():
            self._links.keep(
                instance_id,
                partial(self._attend, name, instance_id),
                address=address,
                is_wanted=partial(self._is_wanted, name, instance_id),
                is_being_replaced=partial(self._is_being_replaced, name, instance_id),
            )
        pool = self._workers.of(name)
        for link in pool:
            if link.instance_id in known.leaving:
                # A worker blocked by its agent can't say so itself, and no run is to be blamed if
                # the worker is killed for that.
                link.is_draining = True
            if link.instance_id not in known.living:
                # Its end is known, though perhaps not from its machine, which may be gone.
                link.close()
        if known.has_workers or known.listed.is_expected:
            pool.expect()
        else:
            pool.give_up("unavailable" if known.is_wanted else "stopped")

    async def _attend(self, service: str, instance_id: str, link: Link) -> None:
        # The service may have been stopped while the worker was dialled.
        if self._is_wanted(service, instance_id):
            self._workers.of(service).add(link)
            await link.until_closed()

    def _is_wanted(self, service: str, instance_id: str) -> bool:
        known = self._snapshot.services.get(service)
        return known is not None and instance_id in known.workers and not self._has_ceased

    def _is_being_replaced(self, service: str, instance_id: str) -> bool:
        known = self._snapshot.services.get(service)
        return known is not None and instance_id in known.replaced


def _over(before: Mapping[str, Known], now: Mapping[str, Known]) -> Iterator[str]:
    """The services whose earlier runs nobody will continue."""
    for name, former in before.items():
        present = now.get(name)
        if present is None or present.service_id != former.service_id:
            yield name
    for name, present in now.items():
        if present.is_over and before.get(name) != present:
            yield name


def _tell(listener: Callable[..., None], *arguments: str) -> None:
    """A failing listener must not keep the directory from its next read."""
    try:
        listener(*arguments)
    except Exception:
        logger.exception("listener_failed", listener=repr(listener), arguments=arguments)
