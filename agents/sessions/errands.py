"""Requests that clients at other servers make of the sessions that this server owns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import orjson
import structlog
from django.db import Error as DatabaseFailure

from agents.ownership import requests
from agents.ownership.requests import Taken
from agents.ownership.taking import OwnedElsewhere, UnknownSession
from agents.ports import Refused
from agents.principals import key_of, may_act
from agents.runtime.explaining import explain
from agents.sessions.live import LiveSession
from agents.sessions.resources import Resources
from agents.transients import Notice, Problem, Repeated, Transient
from myagent import protocol
from myagent.protocol import CreateSession, Detach, ProtocolError, Reconnect

logger = structlog.get_logger(__name__)

TRY_AGAIN_S = 0.5


class Errand:
    """Stands for the client's socket: an `agents.ports.Asker`.

    What it is told becomes the answer in the row of the inbox. What is written to the log is
    answered there. A request that the loss of the session refused is left for the next owner.
    """

    lang = "en"

    def __init__(self, taken: Taken, answer: Callable[[str], None]) -> None:
        self.inbox_row: int | None = taken.row_id
        self.principal = taken.principal
        self.counted_as = key_of(taken.principal)
        self._answer = answer
        self._is_answered = False

    def tell(self, transient: Transient) -> None:
        match transient:
            case Repeated():
                self._settle({"original_seq": transient.original.seq})
            case Notice():
                self._settle({"notice": transient.code, "run_id": transient.run_id})
            case Problem():
                if transient.code != "moved":
                    self._settle(
                        {
                            "code": transient.code,
                            **transient.words,
                            "message_id": transient.message_id,
                            "step_id": transient.step_id,
                        }
                    )

    def refuse(self, error: Refused) -> None:
        self.tell(Problem(self.lang, error.code, message_id=error.message_id, **error.words))

    def _settle(self, told: dict[str, Any]) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._answer(orjson.dumps(told).decode())


class Errands:
    """Its methods belong to the event loop. `open_session` makes a session live here."""

    def __init__(
        self,
        resources: Resources,
        open_session: Callable[[str], Awaitable[LiveSession]],
        on_answered: Callable[[str], None],
    ) -> None:
        self._resources = resources
        self._open = open_session
        self._on_answered = on_answered
        self._busy: set[str] = set()
        self._just_taken: set[int] = set()
        """Rows that were taken since the last `note`: a look that began before lists them still."""
        self._has_stopped = False

    def note(self, waiting: dict[str, list[int]]) -> None:
        """The rows of the inbox that wait, by session. Returns at once."""
        for session_id, row_ids in waiting.items():
            left = [row_id for row_id in row_ids if row_id not in self._just_taken]
            if left and session_id not in self._busy and not self._has_stopped:
                self._busy.add(session_id)
                self._resources.background.start(self._run_errands(session_id, left))
        self._just_taken.clear()

    def stop(self) -> None:
        """Answers nothing any more: the next owners do."""
        self._has_stopped = True

    async def _run_errands(self, session_id: str, row_ids: Sequence[int]) -> None:
        try:
            session = await self._open(session_id)
            for each in await self._take(row_ids, session.epoch):
                await self._carry_out(session, each)
        except (UnknownSession, OwnedElsewhere):
            logger.debug("requests_left", session_id=session_id)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
        finally:
            self._busy.discard(session_id)

    async def _take(self, row_ids: Sequence[int], epoch: int) -> list[Taken]:
        """Tries until it succeeds: what was taken under the epoch is not listed again."""
        take = partial(requests.take, row_ids, epoch)
        while True:
            try:
                taken = await self._resources.database.run(take)
            except DatabaseFailure as error:
                logger.warning("storage_away", error=explain(error))
                take = partial(requests.take, row_ids, epoch, is_again=True)
                await asyncio.sleep(TRY_AGAIN_S)
            else:
                self._just_taken.update(each.row_id for each in taken)
                return taken

    async def _carry_out(self, session: LiveSession, taken: Taken) -> None:
        def answer(told: str) -> None:
            if not self._has_stopped:
                self._resources.background.start(self._answer(session, taken, told))

        errand = Errand(taken, answer)
        try:
            if not may_act(taken.principal, session.principal):
                raise Refused("forbidden", sentence="forbidden_session")
            event = protocol.parse(taken.payload)
            assert not isinstance(event, CreateSession | Reconnect | Detach)
            await session.take(errand, event)
        except Refused as error:
            if not (error.code == "service_unavailable" and self._resources.is_draining):
                errand.refuse(error)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            errand.refuse(Refused("storage_unavailable"))
        except ProtocolError as error:
            errand.refuse(Refused(error.code, detail=error.detail))
        except Exception:
            logger.exception("request_failed", session_id=session.session_id)
            errand.refuse(Refused("internal_error"))

    async def _answer(self, session: LiveSession, taken: Taken, told: str) -> None:
        row = (taken.row_id, session.session_id, session.epoch, told)
        while True:
            try:
                await self._resources.database.run(requests.answer, *row)
                break
            except DatabaseFailure as error:
                logger.warning("storage_away", error=explain(error))
                await asyncio.sleep(TRY_AGAIN_S)
        self._on_answered(taken.follower)
