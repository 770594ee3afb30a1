"""The supervisor's links to the workers of its machine, which tell it their health.

`services.supervision.health` stores what a link reports. This module stores only that a worker is
ready; the end of a link makes the supervisor act at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import structlog
from django.db import Error as DatabaseFailure
from django.db import transaction
from django.utils import timezone

from agents.runs.link import Link
from agents.runs.link_keeper import LinkKeeper
from agents.runtime.database import DatabaseThreads
from agents.runtime.explaining import explain
from agents.runtime.process import until_gone
from services import doorbell
from services.models import Instance, Service

logger = structlog.get_logger(__name__)

AGAIN_S = 0.2
"""Seconds until a failed write is tried again."""

GONE_S = 0.5
"""Seconds that a process may take to end after it closed its link."""


class Links:
    """Its methods belong to the event loop. `wake`: called when there is something to do."""

    def __init__(self, database: DatabaseThreads, wake: Callable[[], None]) -> None:
        self._database = database
        self._wake = wake
        self._links: dict[str, Link] = {}
        self._keeper = LinkKeeper("supervisor")

    def keep(self, addresses: Mapping[str, str]) -> None:
        """Keeps links to the workers of these instances, and to no others."""
        for instance_id in self._keeper.kept - addresses.keys():
            self._keeper.let_go(instance_id)
        for instance_id, address in addresses.items():
            attend = partial(self._attend, instance_id)
            self._keeper.keep(instance_id, attend, address=address, on_failed=self._wake)

    def drain(self, instance_ids: Collection[str]) -> None:
        """Asks those of these workers that are ready to finish their runs and to end."""
        for instance_id in instance_ids:
            link = self._links.get(instance_id)
            if link is not None and not link.is_draining:
                link.drain()

    async def close(self) -> None:
        """Closes the links; the workers go on. May be called twice."""
        await self._keeper.end()

    def of(self, instance_id: str) -> Link | None:
        """The link to a worker that is ready."""
        return self._links.get(instance_id)

    def silences(self) -> dict[str, float]:
        """For how many seconds each worker has not answered; none while it is debugged."""
        return {instance_id: link.silent_for_s for instance_id, link in self._links.items()}

    async def _attend(self, instance_id: str, link: Link) -> None:
        self._links[instance_id] = link
        process = link.process
        try:
            await self._note_ready(instance_id, link)
            await link.until_closed()
        finally:
            del self._links[instance_id]
        if process is not None:
            await until_gone(process, GONE_S)
        self._wake()

    async def _note_ready(self, instance_id: str, link: Link) -> None:
        """Tries until it is stored, or the link has ended."""
        described = asdict(link.agent)
        while not link.is_closed:
            try:
                await self._database.run(note_ready, instance_id, described)
                break
            except DatabaseFailure as error:
                logger.warning("storage_away", error=explain(error))
                await asyncio.sleep(AGAIN_S)
        self._wake()


def note_ready(instance_id: str, agent: dict[str, Any]) -> None:
    """Stores once that a worker is ready, and the description of its agent. Synchronous."""
    waits = Instance.objects.filter(pk=instance_id, ready_at__isnull=True)
    instance = waits.first()
    if instance is None:
        return
    with transaction.atomic():
        # The service's row before the instance's: everybody locks them in this order.
        doorbell.change(Service.objects.filter(pk=instance.service_id), agent=agent)
        waits.update(ready_at=timezone.now())
