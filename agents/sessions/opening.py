"""Takes sessions over from the log: those that clients ask for, and those of dead servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import structlog
from django.db import Error as DatabaseFailure

from agents.ownership import servers, taking
from agents.ownership.adoption import Adopted, adopt
from agents.ownership.lease import Lease
from agents.ownership.mass_adoption import MOST_SESSIONS, adopt_together
from agents.ownership.taking import Locked, OwnedElsewhere, UnknownSession
from agents.runtime import background
from agents.runtime.explaining import explain
from agents.runtime.gathering import Gathering
from agents.sessions.live import LiveSession
from agents.sessions.resources import Resources

T = TypeVar("T")

logger = structlog.get_logger(__name__)

ADOPTED_AT_ONCE = 2
"""Sessions that adoption opens at once: the other database threads are left to clients."""

LOCK_WAIT_S = 2.0
"""Seconds that a session may stay locked before the client that asked for it is told."""

LOCK_LOOK_S = 0.1


class Opening:
    """Takes sessions over under `lease`. Its methods belong to the event loop.

    `get` finds a session that is in memory already; `keep` puts one there.
    """

    def __init__(
        self,
        resources: Resources,
        lease: Lease,
        get: Callable[[str], LiveSession | None],
        keep: Callable[[Adopted], LiveSession],
    ) -> None:
        self._resources = resources
        self._directory = resources.directory
        self._lease = lease
        self._get = get
        self._keep = keep
        self._tasks: dict[str, asyncio.Task[LiveSession]] = {}
        self._asked_for = Gathering(self._take_together, MOST_SESSIONS)
        self._half_taken: set[str] = set()
        """Sessions that failed to open: this server may own them."""

    @property
    def may_have_taken(self) -> bool:
        """Whether this server may own sessions that are not in memory."""
        return bool(self._half_taken)

    async def open(self, session_id: str, *, is_asked_for: bool = False) -> LiveSession:
        """Takes a session over; concurrent callers share one attempt.

        `is_asked_for`: a client asked for it; then the session may be taken together with others
        that clients ask for, and a lock on it is waited for. Raises `UnknownSession`,
        `OwnedElsewhere`, `django.db.Error`.
        """
        task = self._tasks.get(session_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._take(session_id, is_asked_for))
            self._tasks[session_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(session_id, None))
        try:
            return await asyncio.shield(task)
        finally:
            # A failure refers to this frame, and the task to the failure: a cycle would wait for
            # the garbage collector.
            del task

    async def open_asked(self, session_id: str) -> LiveSession:
        """The same for clients at other servers, or here while it was followed."""
        return await self.open(session_id, is_asked_for=True)

    async def adopt_orphans(self) -> None:
        """Continues the unfinished runs of dead servers, a few sessions at a time.

        A session that a client asks for meanwhile is opened for it at once. Ends early when the
        process drains. Raises `django.db.Error`. Cancelling is safe: sessions that are being opened
        go on until `end`.
        """
        own_id, services = self._lease.server_id, self._directory.names()
        await self._run(servers.end_gone_servers, own_id)
        found = iter(await self._run(taking.adoptable, services, own_id))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(ADOPTED_AT_ONCE):
                    group.create_task(self._adopt_each(found))
        except ExceptionGroup as failed:
            # Two failures have the same cause: the database is away.
            raise failed.exceptions[0] from failed

    async def _adopt_each(self, found: Iterator[str]) -> None:
        for session_id in found:
            if self._resources.is_draining:
                return
            if self._get(session_id) is not None:
                continue
            try:
                await self.open(session_id)
                logger.info("session_adopted", session_id=session_id)
            except (UnknownSession, OwnedElsewhere):
                logger.debug("somebody_else_adopted", session_id=session_id)
            except Locked:
                # The next check comes soon.
                logger.info("session_locked", session_id=session_id)
            except DatabaseFailure:
                raise
            except Exception:
                # One session that can't be read must not hold up the others.
                logger.exception("session_not_adopted", session_id=session_id)

    async def end(self) -> None:
        """Stops opening."""
        await background.end(self._tasks.values())
        await self._asked_for.end()

    async def _take(self, session_id: str, is_asked_for: bool) -> LiveSession:
        if (live := self._get(session_id)) is not None:
            return live
        self._half_taken.add(session_id)
        try:
            session = await self._take_anew(session_id, is_asked_for)
        except (UnknownSession, OwnedElsewhere, Locked):
            self._half_taken.discard(session_id)
            raise
        self._half_taken.discard(session_id)
        return session

    async def _take_anew(self, session_id: str, is_asked_for: bool) -> LiveSession:
        own_id = self._lease.server_id
        adopted = await self._asked_for.ask(session_id) if is_asked_for else None
        if adopted is None:
            own_id, services = self._lease.server_id, self._directory.names()
            adopt_it = partial(self._run, adopt, session_id, services, own_id)
            adopted = await (_until_unlocked(adopt_it) if is_asked_for else adopt_it())
        if own_id != self._lease.server_id:
            # The lease under which it was taken was lost meanwhile, and the session with it.
            raise OwnedElsewhere(own_id)
        return self._keep(adopted)

    async def _take_together(self, session_ids: list[str]) -> dict[str, Adopted]:
        """The sessions that could be taken together; all others are taken one by one."""
        if len(session_ids) == 1:
            return {}
        own_id, services = self._lease.server_id, self._directory.names()
        try:
            return await self._run(adopt_together, session_ids, services, own_id)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
        except Exception:
            # One by one, a session that can't be read does not affect the others.
            logger.exception("sessions_not_taken_together", sessions=len(session_ids))
        return {}

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        return await self._resources.database.run(work, *args)


async def _until_unlocked(attempt: Callable[[], Awaitable[T]]) -> T:
    """Tries for `LOCK_WAIT_S`. Between two tries it occupies no database thread."""
    deadline = asyncio.get_running_loop().time() + LOCK_WAIT_S
    while True:
        try:
            return await attempt()
        except Locked:
            if asyncio.get_running_loop().time() >= deadline:
                raise
        await asyncio.sleep(LOCK_LOOK_S)
