"""Sends finished traces, the longest waiting first. Every server does, each with some of them.

A receiver that is away costs a server one request a second, and runs are not held up by it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from agents.chores import Chore
from agents.runtime.database import DatabaseThreads
from traces.exporting import destination, outbox
from traces.exporting.destination import Destination
from traces.exporting.reading import Parcel, parcels_of
from traces.exporting.receiver import TIMEOUT_S, Answer, Fate, Receiver
from traces.models import Waiting

logger = structlog.get_logger(__name__)

SEND_S = 1.0
"""Seconds between two looks of a server."""

MOST_IN_A_ROW = 50
"""Claims after which a server pauses."""

MOST_BYTES = 1024 * 1024
"""Of one request with several traces."""

MOST_REASON = 200
"""Characters of what a receiver says that are logged."""


class Sender:
    """One server's. `send` may be cancelled: what it has claimed is sent when the claim is over."""

    def __init__(self) -> None:
        self._is_away = False
        self._has_looked = False
        self._destination: Destination | None = None

    async def send(self, database: DatabaseThreads) -> None:
        """Sends what is due, until nothing is or the receiver is away. Raises `django.db.Error`."""
        where = self._where()
        if where is None or not (claimed := await database.run(_claim)):
            return
        async with Receiver(where) as receiver:
            for _ in range(MOST_IN_A_ROW):
                turn = _Turn(database, receiver, claimed)
                answer = await turn.send()
                self._say(answer, where)
                if answer.fate is Fate.AWAY or not turn.is_whole:
                    return
                if not (claimed := await database.run(_claim)):
                    return

    def _where(self) -> Destination | None:
        """None if that is not set up rightly, which is said once: not every server has checks."""
        if not self._has_looked:
            self._has_looked = True
            try:
                self._destination = destination.configured()
            except destination.DestinationError as error:
                logger.error("traces_not_sent", reason=str(error))
        return self._destination

    def _say(self, answer: Answer, where: Destination) -> None:
        """Once when a receiver goes away, and once when it is back."""
        is_away = answer.fate is Fate.AWAY
        if is_away and not self._is_away:
            logger.warning("otlp_receiver_away", receiver=where.host, reason=answer.reason)
        elif self._is_away and not is_away:
            logger.info("otlp_receiver_back", receiver=where.host)
        self._is_away = is_away


class _Turn:
    """One claim. `is_whole`: all of it was dealt with before it was over."""

    def __init__(
        self, database: DatabaseThreads, receiver: Receiver, claimed: Sequence[Waiting]
    ) -> None:
        self.is_whole = True
        self._database = database
        self._receiver = receiver
        self._claimed = claimed
        self._until = asyncio.get_running_loop().time() + outbox.CLAIM_S - TIMEOUT_S

    async def send(self) -> Answer:
        """The last answer of the receiver."""
        oldest = timezone.now() - timedelta(seconds=settings.MYAGENT_TRACE_EXPORT_WAIT_S)
        parcels, late = await self._database.run(parcels_of, self._claimed, oldest)
        if late:
            logger.warning("traces_waited_too_long", count=late)
        await self._remove([each for each in parcels if not each.request])
        answer, left = Answer(Fate.ACCEPTED), deque(_together(parcels))
        while left and answer.fate is not Fate.AWAY and self._is_in_time():
            together = left.popleft()
            answer = await self._receiver.send(b"".join(each.request for each in together))
            if answer.fate is Fate.REFUSED and len(together) > 1:
                # One of them may be what it refuses.
                left.extendleft([each] for each in reversed(together))
                continue
            await self._settle(together, answer)
        if left:
            self.is_whole = False
            rest = [each.waiting for together in left for each in together]
            await self._database.run(outbox.give_back, rest, timezone.now())
        return answer

    def _is_in_time(self) -> bool:
        return asyncio.get_running_loop().time() < self._until

    async def _settle(self, parcels: Sequence[Parcel], answer: Answer) -> None:
        if answer.fate is Fate.AWAY:
            waiting = [each.waiting for each in parcels]
            await self._database.run(outbox.put_off, waiting, timezone.now(), answer.pause_s)
            return
        if answer.fate is Fate.REFUSED:
            trace_id = parcels[0].waiting.pk
            logger.warning("trace_refused_by_receiver", trace_id=trace_id, reason=answer.reason)
        else:
            _say_rejected(answer)
        await self._remove(parcels)

    async def _remove(self, parcels: Sequence[Parcel]) -> None:
        if parcels:
            await self._database.run(outbox.remove, [each.waiting.pk for each in parcels])


def _claim() -> list[Waiting]:
    return outbox.claim(timezone.now())


def _together(parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    """Requests with several traces. What failed before goes alone: it may be the reason."""
    group: list[Parcel] = []
    size = 0
    for parcel in parcels:
        if not parcel.request:
            continue
        if parcel.waiting.tries:
            yield [parcel]
            continue
        if group and size + len(parcel.request) > MOST_BYTES:
            yield group
            group, size = [], 0
        group.append(parcel)
        size += len(parcel.request)
    if group:
        yield group


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
