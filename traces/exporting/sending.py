"""Sends finished traces, the longest waiting first. Every server does, each with some of them.

A receiver that is away costs a server one request a second, and runs are not held up by it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

import structlog
from django.conf import settings
from django.utils import timezone

from agents.chores import Chore
from agents.runtime.database import DatabaseThreads
from traces.exporting import destination, outbox
from traces.exporting.destination import Destination
from traces.exporting.reading import request_of
from traces.exporting.receiver import TIMEOUT_S, Answer, Fate, Receiver
from traces.models import Waiting

logger = structlog.get_logger(__name__)

SEND_S = 1.0
"""Seconds between two looks of a server."""

MOST_IN_A_ROW = 50
"""Claims after which a server pauses."""

ENOUGH_BYTES = 1024 * 1024
"""Of a request: no further trace is added."""

MOST_REASON = 200
"""Characters of what a receiver says that are logged."""


class Parcel(NamedTuple):
    """A trace, and it as a request."""

    waiting: Waiting
    request: bytes


class Sender:
    """One server's. `send` may be cancelled: what it has claimed is sent when the claim is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rests_until = clock()
        self._is_away = False
        self._has_looked = False
        self._destination: Destination | None = None

    async def send(self, database: DatabaseThreads) -> None:
        """Sends what is due, until nothing is or the receiver is away. Raises `django.db.Error`.

        A receiver that has asked for a pause is sent nothing before it is over.
        """
        where = self._where()
        if where is None or self._clock() < self._rests_until:
            return
        if not (claimed := await database.run(_claim)):
            return
        late = 0
        async with Receiver(where) as receiver:
            for left in reversed(range(MOST_IN_A_ROW)):
                turn = Turn(database, receiver, claimed)
                self._note(await turn.send(), where)
                late += turn.late
                if not (left and turn.is_whole and (claimed := await database.run(_claim))):
                    break
        if late:
            logger.warning("traces_waited_too_long", count=late)

    def _where(self) -> Destination | None:
        """None if that is not set up rightly, which is said once: not every server has checks."""
        if not self._has_looked:
            self._has_looked = True
            try:
                self._destination = destination.configured()
            except destination.DestinationError as error:
                logger.error("traces_not_sent", reason=str(error))
        return self._destination

    def _note(self, answer: Answer | None, where: Destination) -> None:
        """Says it once when a receiver goes away, and once when it is back."""
        if answer is None:
            return
        self._rests_until = self._clock() + answer.pause_s
        is_away = _is_away(answer)
        if is_away and not self._is_away:
            logger.warning("otlp_receiver_away", receiver=where.host, reason=answer.reason)
        elif self._is_away and not is_away:
            logger.info("otlp_receiver_back", receiver=where.host)
        self._is_away = is_away


class Turn:
    """What is done about one claim. `late`: how many of it had waited too long."""

    def __init__(
        self, database: DatabaseThreads, receiver: Receiver, claimed: Sequence[Waiting]
    ) -> None:
        self.late = 0
        self.is_whole = True
        """Whether all of it was dealt with while the claim was valid."""
        self._database = database
        self._receiver = receiver
        self._rest = deque(claimed)
        self._oldest = timezone.now() - timedelta(seconds=settings.MYAGENT_TRACE_EXPORT_WAIT_S)
        self._until = asyncio.get_running_loop().time() + outbox.CLAIM_S - TIMEOUT_S

    async def send(self) -> Answer | None:
        """The last answer of the receiver; None if it was not asked."""
        answer: Answer | None = None
        while self._rest and self._may_go_on(answer):
            if parcels := await self._next():
                answer = await self._deliver(parcels)
        if self._rest:
            await self._database.run(outbox.give_back, self._rest, timezone.now())
        self.is_whole = not self._rest and not _is_away(answer)
        return answer

    async def _next(self) -> list[Parcel]:
        """For one request. What failed before goes alone: it may be the reason."""
        found: list[Parcel] = []
        size = 0
        while self._rest and size < ENOUGH_BYTES and not (found and self._rest[0].tries):
            waiting = self._rest.popleft()
            request = await self._read(waiting)
            if not request:
                await self._database.run(outbox.remove, [waiting.pk])
                continue
            found.append(Parcel(waiting, request))
            size += len(request)
            if waiting.tries:
                break
        return found

    async def _read(self, waiting: Waiting) -> bytes:
        """Empty if there is nothing to send any more."""
        if waiting.ended_at < self._oldest:
            self.late += 1
            return b""
        return await self._database.run(request_of, waiting.pk)

    async def _deliver(self, parcels: Sequence[Parcel]) -> Answer:
        answer = await self._receiver.send(b"".join(each.request for each in parcels))
        if answer.fate is not Fate.REFUSED or len(parcels) == 1:
            await self._settle(parcels, answer)
            return answer
        # One of them may be what it refuses.
        for number, parcel in enumerate(parcels):
            if not self._may_go_on(answer):
                self._rest.extend(each.waiting for each in parcels[number:])
                break
            answer = await self._deliver([parcel])
        return answer

    def _may_go_on(self, answer: Answer | None) -> bool:
        return asyncio.get_running_loop().time() < self._until and not _is_away(answer)

    async def _settle(self, parcels: Sequence[Parcel], answer: Answer) -> None:
        if answer.fate is Fate.AWAY:
            waiting = [each.waiting for each in parcels]
            await self._database.run(outbox.put_off, waiting, timezone.now(), answer.pause_s)
            return
        ids = [each.waiting.pk for each in parcels]
        if answer.fate is Fate.REFUSED:
            logger.warning("trace_refused_by_receiver", trace_id=ids[0], reason=answer.reason)
        else:
            _say_rejected(answer)
        await self._database.run(outbox.remove, ids)


def _is_away(answer: Answer | None) -> bool:
    return answer is not None and answer.fate is Fate.AWAY


def _claim() -> list[Waiting]:
    return outbox.claim(timezone.now())


def _say_rejected(answer: Answer) -> None:
    from traces.exporting.encoding import rejected

    try:
        count, reason = rejected(answer.body)
    except ValueError:
        # It may answer in JSON, or with a page: it has accepted all the same.
        return
    if count:
        logger.warning("spans_rejected_by_receiver", count=count, reason=reason[:MOST_REASON])


SENDING = Chore(SEND_S, Sender().send)
