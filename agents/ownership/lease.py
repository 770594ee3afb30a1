"""This process's lease as a server, renewed while the process makes progress."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.models import Server
from agents.ownership import servers
from agents.ownership.lease_thread import LeaseThread
from agents.ownership.pulse import LoopEnded, Pulse
from agents.ownership.servers import Renewal
from agents.runtime.explaining import explain
from agents.runtime.process import own_identity

logger = structlog.get_logger(__name__)

END_S = 5.0
"""Seconds that ending the lease may take in the database."""


class Lease:
    """The lease; its methods belong to the event loop.

    Between `register` and `end` the sessions taken under `server_id` belong to this process, unless
    another process finds the lease expired or the process gone. A thread renews the lease, but not
    for a process that hangs: the event loop and the journal must both have made progress within one
    lease period.

    `report`, called on the loop, returns the server's report about itself; `journal_moved_at`,
    called in the thread, is by `time.monotonic`.
    """

    def __init__(
        self,
        service: str,
        source: str,
        *,
        report: Callable[[], dict[str, Any]],
        journal_moved_at: Callable[[], float],
    ) -> None:
        self.server_id = ""
        self.port = 0
        self.address = ""
        self._service = service
        self._source = source
        self._report = report
        self._journal_moved_at = journal_moved_at
        self._thread = LeaseThread(self._renew)
        self._pulse: Pulse[dict[str, Any]] | None = None
        self._kept_id = ""
        """What the thread renews: `server_id`, or what that is about to become."""
        self.answered_at = -float("inf")
        """When the database last answered a renewal, by `time.monotonic`."""
        self._stands_still = False
        self._ended_id: str | None = None
        self._has_ended = asyncio.Event()
        self._is_ending = False

    async def register(self) -> None:
        """Registers again, under a new `server_id`. Raises `django.db.Error`.

        Cancelling is safe: `end` releases what was registered in any case.
        """
        if self._pulse is None:
            self._pulse = Pulse(self._report)
        self._thread.start()
        server = Server(
            id=str(uuid.uuid4()),
            service=self._service,
            host=socket.gethostname(),
            port=self.port,
            address=self.address,
            process=own_identity(),
            source=self._source,
            version=settings.VERSION,
        )
        await self._thread.run(partial(self._register, server))
        self.server_id = server.pk

    async def until_lost(self) -> None:
        """Waits until it turns out that another server has declared this one dead.

        Every renewal reports that again until this server has registered anew.
        """
        while self._ended_id != self.server_id:
            self._has_ended.clear()
            await self._has_ended.wait()
        self._ended_id = None

    async def end(self) -> None:
        """Gives up everything that was taken. If the database is away, the lease expires.

        May be called twice. Cancelling is safe: it goes on, and the next call waits for it.
        """
        if not self._is_ending:
            self._is_ending = True
            self._thread.finish(self._retire)
        if not await self._thread.ended(END_S):
            logger.warning("lease_left_to_expire", error="The database does not answer.")

    # In the thread.

    def _register(self, server: Server) -> None:
        servers.register(server, settings.MYAGENT_LEASE_S)
        self.answered_at = time.monotonic()
        self._kept_id = server.pk

    def _renew(self) -> None:
        pulse = self._pulse
        assert pulse is not None
        try:
            # For so long that a renewal does not come late by it.
            pulse.ask(settings.MYAGENT_RENEW_S / 4)
            if not self._kept_id or not self._is_moving(pulse.moved_at):
                return
            found = servers.renew(self._kept_id, settings.MYAGENT_LEASE_S, pulse.prepared)
            self.answered_at = time.monotonic()
            if found is Renewal.LAPSED:
                logger.warning("lease_had_lapsed", server_id=self._kept_id)
            elif found is Renewal.LATE:
                logger.warning("lease_renewed_late", server_id=self._kept_id)
            elif found is Renewal.ENDED:
                pulse.tell(self._note_ended, self._kept_id)
        except LoopEnded:
            logger.warning("lease_outlived_its_loop", server_id=self._kept_id)
            self._thread.finish()

    def _is_moving(self, loop_moved_at: float) -> bool:
        """Whether the process does what its lease is for."""
        journal_moved_at, now = self._journal_moved_at(), time.monotonic()
        loop_still_s, journal_still_s = now - loop_moved_at, now - journal_moved_at
        stood_still = self._stands_still
        self._stands_still = max(loop_still_s, journal_still_s) > settings.MYAGENT_LEASE_S
        if self._stands_still and not stood_still:
            logger.error(
                "lease_not_renewed",
                loop_still_s=round(loop_still_s, 1),
                journal_still_s=round(journal_still_s, 1),
            )
        return not self._stands_still

    def _retire(self) -> None:
        if not self._kept_id:
            return
        try:
            servers.retire(self._kept_id)
        except DatabaseFailure as error:
            logger.warning("lease_left_to_expire", error=explain(error))

    # On the loop again.

    def _note_ended(self, server_id: str) -> None:
        self._ended_id = server_id
        self._has_ended.set()
