"""The supervisor inside a process that serves: the services end before the site does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from django.conf import settings

from agents.runtime.background import failure_of
from services.supervision.supervisor_process import SupervisorProcess


class Supervision:
    """From `start` to `stop`. With MYAGENT_SUPERVISOR=external it supervises nothing."""

    def __init__(self) -> None:
        self._supervisor = SupervisorProcess(takes_instances_along=True)
        if settings.MYAGENT_SUPERVISOR == "external":
            self._supervisor.leave()
        self._task: asyncio.Task[None] | None = None

    def start(self, on_failure: Callable[[], None]) -> None:
        def follow(ended: asyncio.Task[None]) -> None:
            if failure_of(ended) is not None:
                on_failure()

        self._task = asyncio.get_running_loop().create_task(self._supervisor.run())
        self._task.add_done_callback(follow)

    @property
    def is_settled(self) -> asyncio.Event:
        """Set once it supervises, another process does, or it is clear that it will not."""
        return self._supervisor.is_settled

    @property
    def is_over(self) -> bool:
        return self._task is None or self._task.done()

    @property
    def is_in_charge(self) -> bool:
        """Whether it ends services when it leaves: one that waits for the lease has none."""
        return self._supervisor.is_in_charge.is_set()

    async def end_services(self) -> None:
        """Waits until they have ended.

        When cancelled it ends the services at once; cancelled again, it leaves the services as they
        are. Runs that are not finished by then can be continued from the log.
        """
        self._supervisor.leave()
        if self._task is None:
            return
        try:
            await asyncio.shield(self._task)
        except asyncio.CancelledError:
            self._supervisor.hurry()
            try:
                await asyncio.shield(self._task)
            except asyncio.CancelledError:
                self._task.cancel()

    async def stop(self) -> None:
        """Raises what the supervisor failed with."""
        self._supervisor.leave()
        if self._task is None:
            return
        await asyncio.wait([self._task])
        if (error := failure_of(self._task)) is not None:
            raise error
