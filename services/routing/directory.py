"""What a server of the site knows of the services, and how it comes by their workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import structlog

from agents.directory import Listed
from agents.runs.link import LinkFailed, dial
from agents.runs.worker_process import Paths
from agents.runs.workers import Workers
from agents.runtime import background
from agents.runtime.background import Background
from agents.runtime.bell import Bell
from agents.runtime.database import DatabaseThreads
from services import doorbell
from services.models import Instance, Service
from services.nodes import this_node
from services.supervision import abandoned
from services.supervision.launchers.local import LocalLauncher
from services.supervision.lifecycle import ACTIVE, FAILURES, LEAVING

logger = structlog.get_logger(__name__)

AGAIN_S = 1.0
"""Seconds until a worker is dialled again after a failure that nobody expected."""

ANEW_S = 0.2
"""Seconds until a worker is dialled again, whose link has ended though it is wanted."""

REDIAL_S = 0.05
"""Seconds between two attempts to reach a worker that is about to listen."""

ACTIVE_STATES = frozenset(state.value for state in ACTIVE)
LEAVING_STATES = frozenset(state.value for state in LEAVING)

READ = ("name", "desired", "status", "unregistered_at", "max_sessions", "host", "port")
"""The columns of a service that are looked at here: others may be long."""


@dataclass(frozen=True, slots=True)
class Known:
    """A service as its row and its instances say. `workers`: ids of those to be dialled.

    `service_id` tells it from a later one of its name. `leaving`: ids of those
    that are to end, and not for a fault of their own. `has_workers`: any of its
    processes may live, wherever. `own_port`: its host and port, where it has an
    address of its own.
    """

    service_id: str
    listed: Listed
    is_running: bool
    is_unhealthy: bool
    is_wanted: bool
    is_leaving: bool
    has_workers: bool
    workers: frozenset[str]
    leaving: frozenset[str]
    own_port: tuple[str, int] | None

    @property
    def is_over(self) -> bool:
        """Whether nobody will go on with its runs."""
        return self.is_leaving or not (self.has_workers or self.is_wanted)


@dataclass(frozen=True, slots=True)
class Snapshot:
    revision: doorbell.Revision
    services: dict[str, Known]


class SiteDirectory:
    """A `Directory`, and the `Feeder` of a site's server: its methods belong to the event loop.

    `on_leaving` is told once of each service that is stopped or taken off the
    list: its runs are to end. `on_change` is called after every change. What
    either raises is logged. `others_may_expire`: whether an expired lease can be
    taken for a death; unless it is set, only proof can.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._database = DatabaseThreads()
        self._background = Background()
        self._snapshot = Snapshot((-1, -1), {})
        self._refreshing: asyncio.Task[None] | None = None
        self._has_rung = asyncio.Event()
        self._bell = Bell(doorbell.BELL, self._has_rung.set)
        self._dialling: dict[str, asyncio.Task[None]] = {}
        self._has_ceased = False
        self.on_leaving: Callable[[str], None] = lambda service: None
        self.on_change: Callable[[], None] = lambda: None
        self.others_may_expire: Callable[[], bool] = lambda: False

    # The directory.

    def find(self, service: str) -> Listed | None:
        known = self._snapshot.services.get(service)
        return None if known is None or known.is_leaving else known.listed

    def default(self) -> str | None:
        running = [name for name, known in self._snapshot.services.items() if known.is_running]
        return running[0] if len(running) == 1 else None

    def names(self) -> Sequence[str]:
        return list(self._snapshot.services)

    def unhealthy(self) -> Collection[str]:
        return [name for name, known in self._snapshot.services.items() if known.is_unhealthy]

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
        self._bell.start()
        self._background.repeat(0, self._look_again)
        self._background.repeat(abandoned.LOOK_S, self._end_abandoned)

    async def cease(self) -> None:
        """Brings no more workers; the links that there are stay. May be called twice."""
        self._has_ceased = True
        await self._bell.stop()
        await self._background.stop()

    async def stop(self) -> None:
        """Ends the links. May be called twice."""
        await self.cease()
        await background.end(self._dialling.values())
        await self._database.stop()

    # Inside.

    async def _end_abandoned(self) -> None:
        """Where nobody supervises, nobody else does."""
        await self._database.run(
            lambda: abandoned.end_all(LocalLauncher(), by_lease=self.others_may_expire())
        )

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
        for name, known in found.services.items():
            self._see_to(name, known)
        for name in before.keys() - found.services.keys():
            self._workers.of(name).give_up("stopped")
        for name in _over(before, found.services):
            # Also what waits for people, who could not be answered any more.
            _tell(self.on_leaving, name)
        _tell(self.on_change)

    def _see_to(self, name: str, known: Known) -> None:
        for instance_id in known.workers:
            self._dial(name, instance_id)
        pool = self._workers.of(name)
        for link in pool:
            if link.instance_id in known.leaving:
                # It can't say so itself while its agent blocks it, and no run is to be blamed if
                # that is how it comes to be killed.
                link.is_draining = True
        if known.has_workers or known.listed.is_expected:
            pool.expect()
        else:
            pool.give_up("unavailable" if known.is_wanted else "stopped")

    def _dial(self, service: str, instance_id: str) -> None:
        present = self._dialling.get(instance_id)
        if present is None or present.done():
            task = asyncio.get_running_loop().create_task(self._keep(service, instance_id))
            self._dialling[instance_id] = task
            task.add_done_callback(partial(self._on_done, instance_id))

    def _on_done(self, instance_id: str, task: asyncio.Task[None]) -> None:
        if self._dialling.get(instance_id) is task:
            del self._dialling[instance_id]

    async def _keep(self, service: str, instance_id: str) -> None:
        """Dials a worker until it answers, and again when the link breaks while it is wanted."""
        while self._is_wanted(service, instance_id):
            try:
                await self._attend(service, instance_id)
            except LinkFailed as error:
                logger.debug("worker_not_reached", service=service, error=str(error))
                await asyncio.sleep(REDIAL_S)
            except Exception:
                logger.exception("link_not_kept", service=service, instance_id=instance_id)
                await asyncio.sleep(AGAIN_S)
            else:
                # A worker may say at once again what no link can bear.
                await asyncio.sleep(ANEW_S)

    async def _attend(self, service: str, instance_id: str) -> None:
        """One link, from its beginning to its end. Raises `LinkFailed`."""
        link = await dial(Paths.of(instance_id).socket, f"server {os.getpid()}", timeout_s=None)
        try:
            # What was wanted when it was dialled may be stopped now that it answers.
            if self._is_wanted(service, instance_id):
                self._workers.of(service).add(link)
                await link.until_closed()
        finally:
            link.close()

    def _is_wanted(self, service: str, instance_id: str) -> bool:
        known = self._snapshot.services.get(service)
        return known is not None and instance_id in known.workers and not self._has_ceased


def _over(before: Mapping[str, Known], now: Mapping[str, Known]) -> Iterator[str]:
    """The services of which nobody goes on with the runs that began before this look."""
    for name, former in before.items():
        present = now.get(name)
        if present is None or present.service_id != former.service_id:
            yield name
    for name, present in now.items():
        if present.is_over and before.get(name) != present:
            yield name


def _tell(listener: Callable[..., None], *arguments: str) -> None:
    """What one listener fails at must not keep the directory from its next look."""
    try:
        listener(*arguments)
    except Exception:
        logger.exception("listener_failed", listener=repr(listener), arguments=arguments)


def read(known: doorbell.Revision) -> Snapshot | None:
    """The services as they are now; None if no bell rang since `known`. Synchronous."""
    # The bell before the rows: what changes in between rings again.
    revision = doorbell.revision()
    if revision == known:
        return None
    instances: dict[str, list[Instance]] = {}
    live = Instance.objects.filter(live_slot__isnull=False).only(
        "service_id", "state", "node", "cause"
    )
    for instance in live:
        instances.setdefault(instance.service_id, []).append(instance)
    services = Service.objects.filter(url="").only(*READ)
    return Snapshot(
        revision, {each.name: _known(each, instances.get(each.pk, ())) for each in services}
    )


def _known(service: Service, instances: Collection[Instance]) -> Known:
    is_wanted = service.desired == Service.Desired.RUNNING
    is_leaving = service.unregistered_at is not None
    is_given_up = service.status == Service.Status.ERROR
    here = [each for each in instances if each.node == this_node()]
    return Known(
        service_id=service.pk,
        listed=Listed(
            service.name,
            is_expected=is_wanted and not (is_given_up or is_leaving),
            max_sessions=service.max_sessions or 0,
        ),
        is_running=any(each.state in Instance.SERVING for each in instances),
        is_unhealthy=any(each.state == Instance.State.UNHEALTHY for each in instances),
        is_wanted=is_wanted and not is_leaving,
        is_leaving=is_leaving,
        has_workers=bool(instances),
        # A state that only a later version knows is none of these.
        workers=frozenset(each.pk for each in here if each.state in ACTIVE_STATES),
        leaving=frozenset(each.pk for each in here if _is_asked_to_leave(each)),
        own_port=None if service.port is None or is_leaving else (service.host, service.port),
    )


def _is_asked_to_leave(instance: Instance) -> bool:
    return instance.state in LEAVING_STATES and instance.cause not in FAILURES
