"""This process's place among the runners, kept alive by renewal."""

from __future__ import annotations

import asyncio
import socket
import uuid
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents import ownership
from agents.database import DatabaseThreads
from agents.models import Runner
from agents.ownership import Renewal
from agents.process import own_identity

logger = structlog.get_logger(__name__)


class Lease:
    """Its methods raise `django.db.Error` when the database is away.

    Between `register` and `end` the sessions taken under `runner_id` are this
    process's, as long as nobody finds the lease expired or the process gone.
    """

    def __init__(self, database: DatabaseThreads, service: str, source: str) -> None:
        self.runner_id = ""
        self.port = 0
        self._database = database
        self._service = service
        self._source = source
        self._may_expire_at = float("inf")

    @property
    def others_may_expire(self) -> bool:
        """Whether another runner's expired lease can be taken for its death.

        After an outage or a suspend every lease looks expired: then this is
        False for one lease period, in which the living renew theirs. Only the
        database's clock can tell: the event loop's stands still while a machine
        sleeps. Until the next renewal has asked it, `ownership` keeps watch.
        """
        return asyncio.get_running_loop().time() >= self._may_expire_at

    async def register(self) -> None:
        """Begins anew, under a new `runner_id`."""
        runner = Runner(
            id=str(uuid.uuid4()),
            service=self._service,
            host=socket.gethostname(),
            port=self.port,
            process=own_identity(),
            source=self._source,
        )
        await self._database.run(ownership.register, runner, settings.MYAGENT_LEASE_S)
        self.runner_id = runner.pk
        self._wait_for_others()

    async def renew(self, report: dict[str, Any]) -> bool:
        """False: somebody declared this runner dead."""
        found = await self._database.run(
            ownership.renew, self.runner_id, settings.MYAGENT_LEASE_S, report
        )
        if found is Renewal.LAPSED:
            logger.warning("lease_had_lapsed", runner_id=self.runner_id)
            self._wait_for_others()
        return found is not Renewal.ENDED

    async def end(self) -> None:
        """Gives up everything that was taken. If the database is away, the lease expires."""
        try:
            await self._database.run(ownership.retire, self.runner_id)
        except DatabaseFailure as error:
            logger.warning("lease_left_to_expire", error=str(error))

    def _wait_for_others(self) -> None:
        now = asyncio.get_running_loop().time()
        self._may_expire_at = now + settings.MYAGENT_LEASE_S
