"""The supervisor process: takes the lease, works while that is valid, and gives it up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.runs.run_folder import Stay
from agents.runtime.background import Background
from agents.runtime.bell import Bell
from agents.runtime.database import DatabaseThreads
from agents.runtime.explaining import explain
from services import doorbell
from services.logs import logfiles, rotation
from services.supervision import forgetting, health, supervisor_lease, supervisor_start
from services.supervision.launchers import Launcher
from services.supervision.launchers.choice import launcher_of_site
from services.supervision.launchers.local import LocalLauncher
from services.supervision.links import Links
from services.supervision.supervisor import Supervisor
from services.supervision.supervisor_lease import MACHINE, Charge

T = TypeVar("T")

logger = structlog.get_logger(__name__)

PASS_S = 1.0
"""Seconds after which a pass is made even if no bell rang."""

SOON_S = 0.05
"""Seconds until the next pass while there is something to do."""

PRUNE_S = 300.0

RETRY_S = 0.5
"""Seconds between two attempts to leave in order while the database is away."""


class LeaseLost(Exception):
    """Another process is the supervisor now."""


class SupervisorProcess:
    """`run` returns when it has stopped; `leave` asks for that, and may be called at any time.

    `is_automatic`: started by a command; it stops when there is nothing to do, or when another
    supervisor wants the lease. `takes_instances_along`: it ends its instances when it stops; the
    desired state stays. `is_done`, synchronous: whether it can stop by itself, called when there is
    nothing to do. `parent_fd`: see `launching.launch_spec`.
    """

    def __init__(
        self,
        *,
        is_automatic: bool = False,
        takes_instances_along: bool = False,
        health_interval_s: float | None = None,
        launcher: Launcher | None = None,
        charge: Charge = MACHINE,
        is_done: Callable[[], bool] | None = None,
        parent_fd: int | None = None,
    ) -> None:
        self._charge = charge
        self._may_be_done = is_done or (_has_nothing_to_do if is_automatic else None)
        self._is_automatic = is_automatic
        self._takes_instances_along = takes_instances_along
        self._health_interval_s = health_interval_s or settings.MYAGENT_HEALTH_INTERVAL_S
        self._database = DatabaseThreads()
        # Replicas are where the site wants them; a command's own worker is beside it.
        self._launcher = launcher or (launcher_of_site() if charge.is_machine else LocalLauncher())
        self._supervisor = Supervisor(self._launcher, charge, parent_fd=parent_fd)
        self._leaving = asyncio.Event()
        self._is_wanted = asyncio.Event()
        self._links = Links(self._database, self._is_wanted.set)
        self._bell = Bell(doorbell.BELL, self._is_wanted.set)
        self._trusts_leases_at = float("inf")
        self.has_replaced_automatic = False
        """Whether a supervisor that a command had started made room for this one."""
        self.is_in_charge = asyncio.Event()
        """Set while it holds the lease."""
        self.is_settled = asyncio.Event()
        """Set once it holds the lease, knows that another process does, or has been told to leave
        before. An end does not set it.
        """

    def leave(self) -> None:
        self._leaving.set()
        self._is_wanted.set()

    @property
    def is_leaving(self) -> bool:
        return self._leaving.is_set()

    def hurry(self) -> None:
        """Stops without waiting for the runs of the instances that it ends."""
        self._supervisor.is_hurrying = True
        self.leave()

    async def run(self) -> None:
        """Cancelling lets the lease expire; prefer `leave`. Raises `ImproperlyConfigured`."""
        stay = Stay()
        if self.is_leaving:
            self.is_settled.set()
        try:
            while not self._leaving.is_set():
                epoch = await self._take()
                if epoch is None:
                    return
                await self._hold(epoch)
                # Others saw the lease taken and relied on this process: one more check without the
                # lease.
                if await self._despite_outages(self._is_done):
                    return
        finally:
            stay.end()
            await asyncio.to_thread(self._launcher.close)
            await self._database.stop()

    async def _take(self) -> int | None:
        """Waits for the lease; None if it is to stop before it has one, or is done meanwhile."""
        has_waited = False
        while not self._leaving.is_set():
            epoch = await self._despite_outages(self._try_to_take)
            if epoch is not None:
                return epoch
            if self._is_automatic and await self._despite_outages(self._is_taken):
                return None
            # Its charge may be gone: then the lease can't be taken at all.
            if await self._despite_outages(self._is_done):
                return None
            if not has_waited:
                has_waited = True
                logger.info("waiting_for_the_lease", lease=self._charge.lease)
            await self._pause(0.3)
        return None

    async def _try_to_take(self) -> int | None:
        epoch: int | None = await self._database.run(
            lambda: supervisor_lease.take(is_automatic=self._is_automatic, charge=self._charge)
        )
        makes_room = epoch is None and self._charge.is_machine and not self._is_automatic
        if makes_room and await self._database.run(supervisor_lease.ask_to_leave):
            self.has_replaced_automatic = True
        else:
            self.is_settled.set()
        return epoch

    async def _hold(self, epoch: int) -> None:
        """Works until it is to stop, or another process has the lease."""
        logger.info("supervising", lease=self._charge.lease, epoch=epoch)
        self._wait_for_others()
        self.is_in_charge.set()
        self._bell.start()
        background, log = Background(), logfiles.path_of_supervisor()
        background.repeat(
            self._health_interval_s,
            lambda: health.check_ours(self._database, self._links, self._charge),
        )
        if self._charge.is_machine:
            background.repeat(
                self._health_interval_s, lambda: health.check_elsewhere(self._database)
            )
        background.repeat(PRUNE_S, self._prune)
        background.repeat(rotation.LOOK_S, self._keep_logs_bounded)
        if self._is_automatic:
            # Nothing else rotates the file that it was given for its output.
            background.repeat(rotation.LOOK_S, lambda: rotation.keep_bounded(self._database, log))
        try:
            await self._watch(epoch)
            # A process that is done has none, and has logged why.
            if self._takes_instances_along and self.is_leaving:
                await self._end_instances(epoch)
        except LeaseLost:
            logger.warning("supervision_lost", epoch=epoch)
        finally:
            self.is_in_charge.clear()
            await background.stop()
            await self._bell.stop()
            await self._links.close()
            await self._release(epoch)

    async def _watch(self, epoch: int) -> None:
        """Makes passes, whenever a bell rings or a second is over, until it is to stop."""
        heard: doorbell.Revision | None = None
        worked_at = renewed_at = float("-inf")
        while not self._leaving.is_set():
            now = time.monotonic()
            is_due = now - renewed_at >= settings.MYAGENT_RENEW_S
            if is_due and await self._despite_outages(lambda: self._renew(epoch)):
                renewed_at = now
            revision = await self._despite_outages(lambda: self._database.run(doorbell.revision))
            if revision != heard or now - worked_at >= PASS_S:
                heard, worked_at = revision, now
                if await self._despite_outages(lambda: self._work(epoch)):
                    heard = None
                elif await self._despite_outages(self._is_done):
                    return
            if await self._pause(self._bell.pause_s(doorbell.LOOK_S) if heard else SOON_S):
                heard = None

    async def _renew(self, epoch: int) -> bool:
        if not await self._database.run(supervisor_lease.holds, epoch, self._charge):
            self._wait_for_others()
        lease = await self._database.run(supervisor_lease.renew, epoch, self._charge)
        if lease is None:
            raise LeaseLost
        if lease.is_asked_to_leave and self._is_automatic:
            logger.info("making_room")
            self.leave()
        return True

    async def _work(self, epoch: int) -> bool:
        """One pass, unless the process slept past its lease."""
        if not await self._database.run(supervisor_lease.holds, epoch, self._charge):
            raise LeaseLost
        self._supervisor.trusts_leases = time.monotonic() >= self._trusts_leases_at
        return await self._pass()

    async def _pass(self) -> bool:
        """Makes a pass with the links' reports, and opens links to the live instances after it."""
        self._supervisor.silences = self._links.silences()
        is_busy = await self._database.run(self._supervisor.work)
        self._links.keep(self._supervisor.addresses)
        self._links.drain(self._supervisor.leaving)
        return is_busy

    def _wait_for_others(self) -> None:
        """After its own lease had expired, considers no other process dead for one lease period.

        What kept this process from renewing, such as an outage, may have kept all others from it;
        within that period the live ones renew their leases.
        """
        self._trusts_leases_at = time.monotonic() + settings.MYAGENT_LEASE_S

    async def _is_taken(self) -> bool:
        return await self._database.run(supervisor_lease.acting_supervisor) is not None

    async def _is_done(self) -> bool:
        return self._may_be_done is not None and await self._database.run(self._may_be_done)

    async def _release(self, epoch: int) -> None:
        try:
            await self._database.run(supervisor_lease.release, epoch, self._charge)
        except DatabaseFailure as error:
            logger.warning("lease_left_to_expire", error=explain(error))

    async def _end_instances(self, epoch: int) -> None:
        """Drains everything within a limited time: what does not drain is killed.

        Raises `LeaseLost`, also if the database was away for longer than the lease.
        """
        self._supervisor.is_leaving = True
        await self._despite_outages(
            lambda: self._database.run(supervisor_lease.note_leaving, epoch, self._charge)
        )
        renewed_at = time.monotonic()
        while not (is_done := await self._despite_outages(lambda: self._end_some(epoch))):
            now = time.monotonic()
            if is_done is not None:
                renewed_at = now
            elif now - renewed_at > settings.MYAGENT_LEASE_S:
                raise LeaseLost

    async def _end_some(self, epoch: int) -> bool:
        """Whether none is left; then this last pass has stored that."""
        if await self._database.run(supervisor_lease.renew, epoch, self._charge) is None:
            raise LeaseLost
        left = await self._database.run(lambda: self._supervisor.live_count)
        await self._pass()
        await asyncio.sleep(SOON_S)
        return not left

    async def _prune(self) -> None:
        await self._database.run(health.prune)
        await self._database.run(forgetting.forget_ended, self._charge)

    async def _keep_logs_bounded(self) -> None:
        """Workers only write: nobody but their supervisor sees to their logs."""
        await rotation.keep_bounded_for_others(lambda: self._supervisor.living.values())

    async def _despite_outages(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """None if the database was away."""
        try:
            return await work()
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            # Not `_pause`: who is leaving would not wait at all.
            await asyncio.sleep(RETRY_S)
            return None

    async def _pause(self, seconds: float) -> bool:
        """Ends early, returning True, if it is to stop or a link has news."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_wanted.wait()
        except TimeoutError:
            return False
        self._is_wanted.clear()
        return True


def _has_nothing_to_do() -> bool:
    return not supervisor_start.is_needed()
