"""One reader for all viewers of the console in this process, and their event streams."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection

import orjson
import structlog
from django.db import Error as DatabaseFailure
from django.utils import translation

from agents.runtime.database import DatabaseThreads
from agents.runtime.explaining import explain
from services import doorbell
from services.tokens.judging import Proof
from services.views.describing import Json

logger = structlog.get_logger(__name__)

MAX_VIEWERS = 50
"""Of one feed."""

REFRESH_S = 2.0
"""Seconds after which the data is read again without a ring: reports change without a revision."""

BEAT_S = 5.0
"""Seconds of silence after which a viewer gets a sign of life."""

STREAM_S = 300.0
"""Seconds after which a viewer has to reconnect."""

LOOK_S = 2.0
"""Seconds between two looks at who may still view it."""

CLAIM_S = 5.0
"""Seconds for which a place is kept for a viewer whose answer has not begun."""

BEAT = b": alive\nevent: beat\ndata:\n\n"
PROBLEM = b"event: problem\ndata:\n\n"
"""The data can't be read at present."""


class Feed:
    """What `read` returns in one language, as server-sent events.

    Its methods belong to the event loop. While there are viewers, one task checks every
    `doorbell.LOOK_S` seconds for changes; a slow viewer gets only the latest state.
    """

    def __init__(
        self,
        read: Callable[[], Json],
        lang: str = "en",
        permitted: Callable[[Collection[Proof]], Collection[Proof]] = set,
    ) -> None:
        """`permitted`: of the viewers' proofs, those that still let somebody view it."""
        self._read = read
        self._lang = lang
        self._permitted = permitted
        self._viewers = 0
        self._proofs: Counter[Proof] = Counter()
        self._expired: set[Proof] = set()
        self._claims: set[object] = set()
        self._reader: asyncio.Task[None] | None = None
        self._latest = b""
        self._number = 0
        self._wake = asyncio.Event()
        self._has_ended = False

    @property
    def is_full(self) -> bool:
        return self._viewers + len(self._claims) >= MAX_VIEWERS or self._has_ended

    def end(self) -> None:
        """Ends all streams for good. May be called twice."""
        self._has_ended = True
        self._wake.set()

    def follow(self, proof: Proof | None = None) -> AsyncIterator[bytes] | None:
        """The events for one viewer, until `STREAM_S` or a cancellation; None if it is full.

        `proof`: what the viewer is logged in by; the events end within seconds once that does not
        permit it any more. None where nobody has to log in.
        The viewer counts at once, so that those who come together are not all let in; if nothing
        is read for `CLAIM_S`, it counts no more. Cancelling is safe.
        """
        if self.is_full:
            return None
        claim = object()
        self._claims.add(claim)
        asyncio.get_running_loop().call_later(CLAIM_S, self._claims.discard, claim)
        return self._follow(claim, proof)

    async def _follow(self, claim: object, proof: Proof | None) -> AsyncIterator[bytes]:
        self._claims.discard(claim)
        if self.is_full:
            return
        self._enter(proof)
        try:
            yield b"retry: 2000\n\n"
            async for event in self._events(proof):
                yield event
        finally:
            await self._leave(proof)

    async def _events(self, proof: Proof | None) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        end, seen = loop.time() + STREAM_S, 0
        while loop.time() < end and not self._has_ended and proof not in self._expired:
            if self._number != seen:
                seen = self._number
                yield self._latest
                continue
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                yield BEAT

    def _enter(self, proof: Proof | None) -> None:
        self._viewers += 1
        if proof is not None:
            self._proofs[proof] += 1
            # It was asked for anew: the permission may be back.
            self._expired.discard(proof)
        if self._reader is None:
            self._latest, self._number, self._wake = b"", 0, asyncio.Event()
            self._reader = asyncio.get_running_loop().create_task(self._read_on())

    async def _leave(self, proof: Proof | None) -> None:
        self._viewers -= 1
        if proof is not None:
            self._proofs -= Counter([proof])
        if self._viewers or self._reader is None:
            return
        reader, self._reader = self._reader, None
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)

    async def _read_on(self) -> None:
        database = DatabaseThreads()
        loop = asyncio.get_running_loop()
        heard, due, look_due = None, 0.0, loop.time() + LOOK_S
        try:
            while True:
                try:
                    if loop.time() >= look_due:
                        look_due = loop.time() + LOOK_S
                        await self._look_at_viewers(database)
                    revision = await database.run(doorbell.revision)
                    if revision != heard or loop.time() >= due:
                        heard, due = revision, loop.time() + REFRESH_S
                        self._publish(await database.run(self._event))
                except Exception as error:
                    _report(error)
                    self._publish(PROBLEM)
                    heard = None
                    await asyncio.sleep(REFRESH_S)
                await asyncio.sleep(doorbell.LOOK_S)
        finally:
            await database.stop()

    async def _look_at_viewers(self, database: DatabaseThreads) -> None:
        proofs = {*self._proofs}
        if not proofs:
            return
        self._expired = proofs - {*await database.run(self._permitted, proofs)}
        if self._expired:
            self._rouse()

    def _event(self) -> bytes:
        with translation.override(self._lang):
            return b"event: snapshot\ndata: " + orjson.dumps(self._read()) + b"\n\n"

    def _publish(self, event: bytes) -> None:
        if event == self._latest:
            return
        self._latest = event
        self._number += 1
        self._rouse()

    def _rouse(self) -> None:
        """Wakes all that wait."""
        self._wake.set()
        self._wake = asyncio.Event()


def _report(error: Exception) -> None:
    if isinstance(error, DatabaseFailure):
        logger.warning("storage_away", error=explain(error))
    else:
        logger.error("console_not_read", exc_info=error)
