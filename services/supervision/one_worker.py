"""One worker of a registered service, besides its replicas, kept by the present process.

The worker ends when that process does, in whatever way: it holds a pipe to it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from django.db.models import QuerySet

from agents.models import LEASE_HOLDS, Server
from agents.runtime.background import Background
from agents.runtime.database import DatabaseThreads
from services import doorbell
from services.models import Instance, Service
from services.supervision import observing
from services.supervision.decision import counted, is_given_up
from services.supervision.failing import why_it_is_given_up
from services.supervision.launchers import Sockets
from services.supervision.launchers.local import LocalLauncher
from services.supervision.launchers.sockets import UNIX_SOCKETS
from services.supervision.lifecycle import Cause, State
from services.supervision.observing import Observation, desired_of
from services.supervision.supervisor_lease import Charge
from services.supervision.supervisor_process import SupervisorProcess
from services.telling import told


class GivenUp(Exception):
    """The worker failed too often, or its agent file can't be loaded (`is_configuration`).

    The text is in the active language.
    """

    def __init__(self, error: str, *, is_configuration: bool) -> None:
        super().__init__(error)
        self.error = error
        self.is_configuration = is_configuration

    def __str__(self) -> str:
        return told(self.error)


class OneWorker:
    """Supervises until told to leave, or the service is stopped, unregistered or given up.

    Waits while the service has not been started. `on_ready` is called on the event loop with the
    pid of each worker that is ready, and the address where servers elsewhere reach it, if any.
    `file`, `python`: see `Charge`; `sockets`: where it listens.
    """

    def __init__(
        self,
        service: Service,
        on_ready: Callable[[int, str], None],
        *,
        file: str = "",
        python: str = "",
        sockets: Sockets = UNIX_SOCKETS,
    ) -> None:
        self._charge = Charge.one_worker_of(service, file=file, python=python)
        self._on_ready = on_ready
        self._announced: set[int] = set()
        self._given_up: GivenUp | None = None
        self._database = DatabaseThreads()
        read, self._write = os.pipe()
        self._read = read
        self._process = SupervisorProcess(
            takes_instances_along=True,
            launcher=LocalLauncher(sockets),
            charge=self._charge,
            is_done=self._is_done,
            parent_fd=read,
        )

    async def run(self) -> None:
        """Raises `GivenUp`. Cancelling ends the worker with its runs; prefer `leave`."""
        background = Background()
        background.repeat(doorbell.LOOK_S, self._announce)
        try:
            await self._process.run()
        finally:
            await background.stop()
            await self._database.stop()
            os.close(self._write)
            os.close(self._read)
        if self._given_up is not None:
            raise self._given_up

    @property
    def is_told_to_leave(self) -> bool:
        return self._process.is_leaving

    def leave(self) -> None:
        """Lets its runs finish within the grace period; called again, it does not wait for them."""
        if self._process.is_leaving:
            self._process.hurry()
        else:
            self._process.leave()

    async def _announce(self) -> None:
        for pid, address in await self._database.run(self._ready):
            if pid not in self._announced:
                self._announced.add(pid)
                self._on_ready(pid, address)

    def _ready(self) -> list[tuple[int, str]]:
        ready = self._own().filter(state=State.RUNNING, pid__isnull=False)
        return [(one.pid, one.address) for one in ready if one.pid is not None]

    def _own(self) -> QuerySet[Instance]:
        return Instance.objects.filter(kept_by=self._charge.kept_by)

    def _is_done(self) -> bool:
        """Called by one thread of the process while there is nothing to do."""
        observation = next(iter(observing.read_all(self._charge)), None)
        if observation is None:
            return True
        if any(map(self._charge.owns, observation.live)):
            return False
        if observation.service.desired == Service.Desired.RUNNING:
            self._given_up = self._why_given_up(observation)
            return self._given_up is not None
        return observation.service.unregistered_at is not None or self._own().exists()

    def _why_given_up(self, observation: Observation) -> GivenUp | None:
        desired = desired_of(observation.service, self._charge, is_leaving=False)
        if not is_given_up(desired, observation.failures):
            return None
        count = len(counted(observation.failures))
        return GivenUp(
            why_it_is_given_up(count, observation.last_error, restarts=desired.auto_restart),
            is_configuration=observation.failures[0].cause is Cause.CONFIGURATION,
        )


def machines_of_the_site() -> list[str]:
    """The machines with servers of the site, if there is none here. Synchronous."""
    serving = Server.objects.filter(LEASE_HOLDS, service="")
    machines = set(serving.values_list("host", flat=True))
    return [] if socket.gethostname() in machines else sorted(machines)
