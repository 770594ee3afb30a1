"""Requests of this server's clients on their way to the owners of their sessions, and back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.log import reading
from agents.ownership import followers, requests
from agents.ownership.requests import Answered, Asked
from agents.ports import Asker, Refused, SessionEvent, message_of
from agents.runtime.explaining import explain
from agents.runtime.ids import new_id
from agents.sessions.cancels import aimed
from agents.sessions.followed import FollowedSession
from agents.sessions.intake import named
from agents.sessions.resources import Resources
from agents.transients import Notice, Problem, Repeated
from myagent import exact_json
from myagent.protocol import Cancel, UserMessage

logger = structlog.get_logger(__name__)

MOST_PENDING = 100
"""Requests to one session that may wait for their answers."""

WRITE_TRIES = 4
WRITE_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class _Pending:
    session: FollowedSession
    asker: Asker
    event: SessionEvent
    late_at: float
    """By the event loop's clock: from then on the database is asked whether it has expired."""


class Asking:
    """Its methods belong to the event loop.

    `on_asked` is called with the id of the owner when a
    request was written.
    """

    def __init__(
        self, resources: Resources, own_id: Callable[[], str], on_asked: Callable[[str], None]
    ) -> None:
        self._resources = resources
        self._own_id = own_id
        self._on_asked = on_asked
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}

    def __bool__(self) -> bool:
        """Whether answers are waited for."""
        return bool(self._pending)

    async def ask(self, session: FollowedSession, asker: Asker, event: SessionEvent) -> None:
        """Writes the request for whoever owns the session. Raises `Refused`."""
        message_id = message_of(event)
        if session.pending >= MOST_PENDING:
            raise Refused("busy", message_id=message_id)
        session.pending += 1
        is_written = False
        try:
            async with session.order:
                fixed = await self._fix(session, asker, event)
                if fixed is None:
                    return
                row_id = await self._write(session, asker, fixed)
                late_at = asyncio.get_running_loop().time() + settings.MYAGENT_INBOX_DEADLINE_S
                self._pending[row_id] = _Pending(session, asker, fixed, late_at)
                is_written = True
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            raise Refused("storage_unavailable", message_id=message_id) from error
        finally:
            if not is_written:
                session.pending -= 1
        self._on_asked(session.owner_id)

    async def collect(self) -> None:
        """Passes on the answers that are there. Raises `django.db.Error`."""
        if not self._pending:
            return
        now = asyncio.get_running_loop().time()
        late = [row_id for row_id, asked in self._pending.items() if asked.late_at <= now]
        run = self._resources.database.run
        if late:
            await run(requests.expire, late)
        told: list[int] = []
        try:
            for each in await run(requests.answers, list(self._pending)):
                await self._settle(each)
                told.append(each.row_id)
        finally:
            if told:
                await run(requests.forget, told)

    # Internals.

    async def _settle(self, answered: Answered) -> None:
        """Passes an answer on. Raises `django.db.Error`; then it may be called again."""
        asked = self._pending[answered.row_id]
        try:
            await self._tell(asked, answered)
        except DatabaseFailure:
            raise
        except Exception:
            # One client that can't be told must not hold up the others.
            logger.exception("answer_not_told", session_id=asked.session.session_id)
        del self._pending[answered.row_id]
        asked.session.pending -= 1
        asked.session.idle_since = asyncio.get_running_loop().time()

    async def _fix(
        self, session: FollowedSession, asker: Asker, event: SessionEvent
    ) -> SessionEvent | None:
        """The event with what makes it idempotent; None: it is answered already."""
        if isinstance(event, UserMessage) and event.metadata.message_id is None:
            return named(event, new_id())
        if not isinstance(event, Cancel):
            return event
        target = event.metadata
        if target.run_id is not None or target.message_id is not None:
            return event
        run = self._resources.database.run
        if (run_id := await run(followers.current_run, session.session_id)) is not None:
            return aimed(event, run_id)
        for asked in reversed(self._pending.values()):
            if asked.session is session and isinstance(asked.event, UserMessage):
                message_id = asked.event.metadata.message_id
                metadata = target.model_copy(update={"message_id": message_id})
                return event.model_copy(update={"metadata": metadata})
        asker.tell(Notice(session.lang, "not_running", session.session_id))
        return None

    async def _write(self, session: FollowedSession, asker: Asker, event: SessionEvent) -> int:
        asked = Asked(
            follower=self._own_id(),
            number=next(self._numbers),
            session_id=session.session_id,
            payload=exact_json.encode(event.model_dump(exclude_unset=True)).decode(),
            principal=asker.principal,
        )
        for _ in range(WRITE_TRIES - 1):
            try:
                return await self._resources.database.run(requests.write, asked)
            except DatabaseFailure as error:
                # It may have been written: the next try finds it.
                logger.warning("storage_away", error=explain(error))
                await asyncio.sleep(WRITE_AGAIN_S)
        try:
            return await self._resources.database.run(requests.write, asked)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            # The id is the one that recognises the message if it was written after all.
            raise Refused(
                "storage_unavailable", sentence="storage_uncertain", message_id=message_of(event)
            ) from error

    async def _tell(self, asked: _Pending, answered: Answered) -> None:
        asker, session = asked.asker, asked.session
        message_id = message_of(asked.event)
        if answered.answer is None:
            asker.tell(
                Problem(
                    asker.lang,
                    "service_unavailable",
                    session_id=session.session_id,
                    message_id=message_id,
                )
            )
        elif answered.answer:
            told = orjson.loads(answered.answer)
            if "original_seq" in told:
                await self._echo_again(asked, told["original_seq"])
            elif "notice" in told:
                asker.tell(Notice(session.lang, told["notice"], session.session_id, told["run_id"]))
            else:
                asker.tell(Problem(asker.lang, session_id=session.session_id, **told))

    async def _echo_again(self, asked: _Pending, seq: int) -> None:
        session_id = asked.session.session_id
        logged = await self._resources.database.run(reading.entry_at, session_id, seq)
        if logged is not None:
            asked.asker.tell(Repeated(logged))
