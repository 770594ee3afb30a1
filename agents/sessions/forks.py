"""Conversations that are written down elsewhere than in a client's socket, and carried out here."""

from __future__ import annotations

import structlog
from django.db import Error as DatabaseFailure

from agents.ownership.taking import OwnedElsewhere, UnknownSession
from agents.ports import Asker, Refused
from agents.principals import key_of, may_use_service
from agents.runtime.explaining import explain
from agents.sessions.holding import Sessions
from agents.sessions.resources import Resources

logger = structlog.get_logger(__name__)


class Forks:
    """What holds for a message that begins a run holds for a fork, whose run begins at once.

    Its methods belong to the event loop.
    """

    def __init__(self, resources: Resources, sessions: Sessions) -> None:
        self._resources = resources
        self._sessions = sessions

    async def check(self, asker: Asker, service: str) -> None:
        """Counts a message of the client. Raises `Refused` unless a run of the service may begin.

        Cancelling is safe.
        """
        resources = self._resources
        if not may_use_service(asker.principal, service):
            raise Refused("forbidden", sentence="forbidden_service")
        listed = resources.directory.find(service)
        if listed is None or not resources.may_wait(service):
            await self._refresh()
            listed = resources.directory.find(service)
        if listed is None:
            raise Refused("no_service")
        if not resources.journal.is_available:
            raise Refused("storage_unavailable", sentence="storage_away")
        is_full = resources.is_draining or self._sessions.capacity.is_full
        if is_full or listed.url or not resources.may_wait(service):
            raise Refused("service_unavailable")
        await self._count(asker, service)
        await self._sessions.capacity.claim(listed)

    def can_continue(self, service: str) -> bool:
        """Whether its agent can go on in the middle of a run, as far as is known."""
        agent = self._resources.workers.of(service).agent
        return agent is None or agent.is_continuable

    async def take_over(self, session_id: str) -> None:
        """Carries the new conversation's run out here, or leaves that to the next server."""
        try:
            await self._sessions.opening.open_asked(session_id)
        except (UnknownSession, OwnedElsewhere) as error:
            logger.debug("somebody_else_adopted", session_id=session_id, why=type(error).__name__)
        except DatabaseFailure as error:
            # It is in the log: whoever looks for unfinished runs finds it.
            logger.warning("storage_away", error=explain(error))

    async def _count(self, asker: Asker, service: str) -> None:
        runs, key = self._resources.runs_at_once, key_of(asker.principal)
        runs.check(key or asker.counted_as, await runs.elsewhere(key))
        await self._resources.message_rates.take(asker.counted_as, service)

    async def _refresh(self) -> None:
        try:
            await self._resources.directory.refresh()
        except DatabaseFailure as error:
            # What was known before holds.
            logger.warning("storage_away", error=explain(error))
