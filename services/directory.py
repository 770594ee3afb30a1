"""What a server of the site knows of the services, and how it comes by their workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from agents import background
from agents.background import Background
from agents.database import DatabaseThreads
from agents.directory import Listed
from agents.link import LinkFailed, dial
from agents.worker_process import Paths
from agents.workers import Workers
from services import abandoned, doorbell
from services.launchers.local import LocalLauncher
from services.lifecycle import ACTIVE, State
from services.models import Instance, Service
from services.supervisor_lease import this_node

logger = structlog.get_logger(__name__)

REDIAL_S = 0.05
"""Seconds between two attempts to reach a worker that is about to listen."""


@dataclass(frozen=True, slots=True)
class Known:
    """A service as its row and its instances say. `workers`: ids of those to be dialled.

    `has_workers`: any of its processes may live, wherever. `own_port`: its host
    and port, where it has an address of its own.
    """

    listed: Listed
    is_running: bool
    is_wanted: bool
    is_leaving: bool
    has_workers: bool
    workers: frozenset[str]
    own_port: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    sound: doorbell.Sound
    services: dict[str, Known]


class SiteDirectory:
    """A `Directory`, and the `Feeder` of a site's server: its methods belong to the event loop.

    `on_leaving` is told of each service that is stopped or taken off the list:
    its runs are to end. `on_change` is called after every change.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._database = DatabaseThreads()
        self._background = Background()
        self._snapshot = Snapshot((-1, -1), {})
        self._refreshing: asyncio.Task[None] | None = None
        self._dialling: dict[str, asyncio.Task[None]] = {}
        self.on_leaving: Callable[[str], None] = lambda service: None
        self.on_change: Callable[[], None] = lambda: None

    # The directory.

    def find(self, service: str) -> Listed | None:
        known = self._snapshot.services.get(service)
        return None if known is None or known.is_leaving else known.listed

    def default(self) -> str | None:
        running = [name for name, known in self._snapshot.services.items() if known.is_running]
        return running[0] if len(running) == 1 else None

    def names(self) -> Sequence[str]:
        return list(self._snapshot.services)

    async def refresh(self) -> None:
        """Looks again now. Callers at one moment share one look. Raises `django.db.Error`."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self._look())
        await asyncio.shield(self._refreshing)

    @property
    def own_ports(self) -> dict[str, tuple[str, int]]:
        """The addresses of their own that services have, by name."""
        found = self._snapshot.services.items()
        return {name: known.own_port for name, known in found if known.own_port is not None}

    # The feeder.

    def launch(self) -> None:
        """There is nothing to begin before the database is ready."""

    async def start(self) -> None:
        """Raises `django.db.Error`; then it may be called again."""
        await self.refresh()
        self._background.repeat(doorbell.LOOK_S, self.refresh)
        self._background.repeat(abandoned.LOOK_S, self._end_abandoned)

    async def stop(self) -> None:
        """May be called twice."""
        await self._background.stop()
        await background.end(self._dialling.values())
        await self._database.stop()

    # Inside.

    async def _end_abandoned(self) -> None:
        """Where nobody supervises, nobody else does."""
        await self._database.run(lambda: abandoned.end_all(LocalLauncher(), by_lease=True))

    async def _look(self) -> None:
        found = await self._database.run(read, self._snapshot.sound)
        if found is None:
            return
        before, self._snapshot = self._snapshot, found
        for name, known in found.services.items():
            self._see_to(name, known)
        for name in before.services.keys() - found.services.keys():
            self._workers.of(name).give_up("stopped")
        self.on_change()

    def _see_to(self, name: str, known: Known) -> None:
        for instance_id in known.workers:
            self._dial(name, instance_id)
        pool = self._workers.of(name)
        if known.has_workers or known.listed.is_expected:
            pool.expect()
        else:
            pool.give_up("unavailable" if known.is_wanted else "stopped")
        if known.is_leaving or not (known.has_workers or known.is_wanted):
            # Also what waits for people, who could not be answered any more.
            self.on_leaving(name)

    def _dial(self, service: str, instance_id: str) -> None:
        if instance_id not in self._dialling:
            task = asyncio.get_running_loop().create_task(self._keep(service, instance_id))
            self._dialling[instance_id] = task
            task.add_done_callback(lambda _: self._dialling.pop(instance_id, None))

    async def _keep(self, service: str, instance_id: str) -> None:
        """Dials a worker until it answers, and again when the link breaks while it is wanted."""
        peer = f"server {os.getpid()}"
        while self._is_wanted(service, instance_id):
            try:
                link = await dial(Paths.of(instance_id).socket, peer, timeout_s=None)
            except LinkFailed as error:
                logger.debug("worker_not_reached", service=service, error=str(error))
                await asyncio.sleep(REDIAL_S)
                continue
            self._workers.of(service).add(link)
            await link.until_closed()

    def _is_wanted(self, service: str, instance_id: str) -> bool:
        known = self._snapshot.services.get(service)
        return known is not None and instance_id in known.workers


def read(known: doorbell.Sound) -> Snapshot | None:
    """The services as they are now; None if no bell rang since `known`. Synchronous."""
    # The bell before the rows: what changes in between rings again.
    sound = doorbell.listen()
    if sound == known:
        return None
    instances: dict[str, list[Instance]] = {}
    live = Instance.objects.filter(live_slot__isnull=False).only("service_id", "state", "node")
    for instance in live:
        instances.setdefault(instance.service_id, []).append(instance)
    services = Service.objects.filter(url="")
    return Snapshot(
        sound, {each.name: _known(each, instances.get(each.pk, ())) for each in services}
    )


def _known(service: Service, instances: Collection[Instance]) -> Known:
    is_wanted = service.desired == Service.Desired.RUNNING
    is_leaving = service.unregistered_at is not None
    is_given_up = service.status == Service.Status.ERROR
    here = [each for each in instances if each.node == this_node()]
    return Known(
        listed=Listed(
            service.name,
            is_expected=is_wanted and not (is_given_up or is_leaving),
            max_sessions=service.max_sessions or 0,
        ),
        is_running=any(each.state in Instance.SERVING for each in instances),
        is_wanted=is_wanted and not is_leaving,
        is_leaving=is_leaving,
        has_workers=bool(instances),
        workers=frozenset(each.pk for each in here if State(each.state) in ACTIVE),
        own_port=None if service.port is None or is_leaving else (service.host, service.port),
    )
