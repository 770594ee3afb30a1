"""How many conversations of one principal may be at work at once, over all servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db.models import Count

from agents.models import Run
from agents.ports import Refused
from agents.runtime.database import DatabaseThreads
from agents.runtime.explaining import explain

logger = structlog.get_logger(__name__)

RETRY_AFTER_S = 5
"""Nobody knows when an answer ends."""

FRESH_S = 1.0
"""Seconds for which it is known what is at work at other servers."""

LOOK_S = 1.0
"""Seconds that a question may take: a cancel may wait behind the message that asks it."""

NEAR = 10
"""That close to the limit the database is asked before each start."""

MOST_KNOWN = 10_000
"""Principals whose work at other servers is known without a question of their own."""

IsAtWork = Callable[[], bool]


class RunsAtOnce:
    """Counts conversations with an unfinished run: a message that waits in one adds none.

    What is at work here is known; what is at other servers, or at none, is in the log's database:
    so no crash leaves anything counted. That is asked once a second at most, unless the limit is
    near. Servers that start something at the same moment may exceed it. Without principals only
    what is at work here counts. Its methods belong to the event loop.
    """

    def __init__(self, database: DatabaseThreads, server_id: Callable[[], str]) -> None:
        self._database = database
        self._server_id = server_id
        self._here: dict[str, dict[str, IsAtWork]] = {}
        """Conversations at work, by owner and id."""
        self._elsewhere: dict[str, int] = {}
        self._known_at = -FRESH_S
        self._looking = asyncio.Lock()

    def apply_to(self, owner: str) -> bool:
        """Whether a limit is set for what an owner has at work."""
        return bool(owner and settings.MYAGENT_RUNS_AT_ONCE)

    def enter(self, owner: str, session_id: str, is_at_work: IsAtWork) -> None:
        """A conversation is at work. `owner`: the key of its principal, or its client's name."""
        if owner:
            self._here.setdefault(owner, {})[session_id] = is_at_work

    def leave(self, owner: str, session_id: str) -> None:
        """It is not. May be called twice."""
        here = self._here.get(owner, {})
        here.pop(session_id, None)
        if not here:
            self._here.pop(owner, None)

    async def elsewhere(self, principal: str) -> int:
        """How many are at work, but not here. `principal`: its key; '' for none.

        Takes no query, one, or two, and a limited time. Cancelling is safe.
        """
        limit: int = settings.MYAGENT_RUNS_AT_ONCE
        if not (limit and principal):
            return 0
        try:
            async with asyncio.timeout(LOOK_S):
                if limit > NEAR:
                    await self._look()
                    known = self._elsewhere.get(principal, 0)
                    if limit - known - self._count(principal) > NEAR:
                        return known
                return await self._database.run(_count_elsewhere, principal, self._server_id())
        except (DatabaseFailure, TimeoutError) as error:
            # The message itself will be refused if it can't be stored.
            logger.warning("storage_away", error=explain(error))
            return self._elsewhere.get(principal, 0)

    def check(self, owner: str, elsewhere: int) -> None:
        """Raises `Refused` if no further one may start."""
        limit: int = settings.MYAGENT_RUNS_AT_ONCE
        if limit and owner and self._count(owner) + elsewhere >= limit:
            raise Refused.above("runs_at_once", limit, RETRY_AFTER_S)

    def _count(self, owner: str) -> int:
        return sum(is_at_work() for is_at_work in self._here.get(owner, {}).values())

    async def _look(self) -> None:
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._known_at < FRESH_S:
                return
            self._elsewhere = await self._database.run(_all_elsewhere, self._server_id())
            self._known_at = now


def _all_elsewhere(server_id: str) -> dict[str, int]:
    found = (
        Run.objects.filter(status__in=Run.UNFINISHED)
        .exclude(session__principal="")
        .exclude(session__owner_id=server_id)
        .values_list("session__principal")
        .annotate(Count("session", distinct=True))
    )
    return dict(found[:MOST_KNOWN])


def _count_elsewhere(principal: str, server_id: str) -> int:
    theirs = Run.objects.filter(status__in=Run.UNFINISHED, session__principal=principal)
    found = theirs.exclude(session__owner_id=server_id).values("session").distinct()
    return found.count()
