"""Counts per minute: shared over servers through Redis, else those of this process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from agents.limits.hand import Hand
from agents.runtime.background import Background
from agents.runtime.limits import Buckets, Seldom

if TYPE_CHECKING:
    from agents.limits.shared import SharedCounts

logger = structlog.get_logger(__name__)

COUNT_S = 0.05
"""Seconds that a count may take in Redis; then this process's own one decides."""

CONNECT_S = 2.0
CONNECT_AGAIN_S = 5.0
"""Seconds between two attempts to reach a Redis that failed; messages do not wait for them."""

MINUTE_S = 60

SHARE = 20
"""A process takes this fraction of a limit from Redis at once, and spends it within a minute."""

Wanted = tuple[str, int]
"""A name, and how many of it there are per minute."""


class Rates:
    """How often something happens per minute, by name. Its methods belong to the event loop.

    `redis_url`: '' counts in this process alone, and so do a Redis that does not answer in time and
    the time until it does. A process's own count allows as many at once, and then one after the
    other; the shared one, as many within any minute, of which each process may have up to a
    `SHARE`th in hand.
    """

    def __init__(self, redis_url: str = "") -> None:
        self._redis_url = redis_url
        self._own = Buckets()
        self._shared: SharedCounts | None = None
        self._is_shared = False
        self._has_failed = asyncio.Event()
        self._has_failed.set()
        self._is_known_to_fail = False
        self._failures = Seldom()
        self._hand = Hand()
        """By the event loop's clock."""

    def start(self, background: Background) -> None:
        """From now on Redis is connected, and again whenever it fails."""
        if self._redis_url:
            background.repeat(0, self._connect_when_it_failed)

    async def stop(self) -> None:
        """After the background has stopped. May be called twice."""
        self._is_shared = False
        shared, self._shared = self._shared, None
        if shared is not None:
            await shared.close()

    @property
    def is_shared(self) -> bool:
        """Whether Redis counts now."""
        return self._is_shared

    async def take(self, *wanted: Wanted) -> list[int]:
        """Counts one of each; for each 0, or the seconds after which there is one again.

        Where one has none left, nothing of it and of those after it was counted: the result ends
        there. Whoever is granted all waits for no round trip or one, near a limit for two, and a
        limited time. Cancelling is safe.
        """
        found = self._take_at_once(wanted)
        if unknown := [number for number, wait_s in enumerate(found) if wait_s is None]:
            asking = [self._ask(*wanted[number]) for number in unknown]
            answers = [await asking[0]] if len(asking) == 1 else await asyncio.gather(*asking)
            for number, wait_s in zip(unknown, answers, strict=True):
                found[number] = wait_s
        return self._up_to_a_refusal(wanted, [wait_s or 0 for wait_s in found])

    def _take_at_once(self, wanted: Sequence[Wanted]) -> list[int | None]:
        """What is known without a question, None where it is not, up to what has none left."""
        found: list[int | None] = []
        now = asyncio.get_running_loop().time()
        for name, per_minute in wanted:
            is_shared = self._is_shared and self._shared is not None
            wait_s = self._hand.take(name, now) if is_shared else self._take_own(name, per_minute)
            found.append(wait_s)
            if wait_s:
                break
        return found

    def _up_to_a_refusal(self, wanted: Sequence[Wanted], found: list[int]) -> list[int]:
        """Gives back what was counted after one that has none left."""
        end = next((number for number, wait_s in enumerate(found, 1) if wait_s), len(found))
        now = asyncio.get_running_loop().time()
        for (name, _), wait_s in list(zip(wanted, found, strict=False))[end:]:
            if not wait_s and self._is_shared:
                self._hand.give_back(name, now, now + MINUTE_S)
        return found[:end]

    def _take_own(self, name: str, per_minute: int) -> int:
        return math.ceil(self._own.take(name, per_minute / MINUTE_S, per_minute))

    async def _ask(self, name: str, per_minute: int) -> int:
        """Counts in Redis; if that fails, here."""
        if self._shared is not None:
            try:
                async with asyncio.timeout(COUNT_S):
                    return await self._take_shared(self._shared, name, per_minute)
            except Exception as error:
                # Redis errors belong to a package that may not be installed.
                self._note_failure(error)
        return self._take_own(name, per_minute)

    async def _take_shared(self, shared: SharedCounts, name: str, per_minute: int) -> int:
        now = asyncio.get_running_loop().time()
        some = max(1, per_minute // SHARE)
        if await shared.take(name, per_minute, some):
            if some > 1:
                self._hand.keep(name, some - 1, now + MINUTE_S)
            return 0
        if some > 1 and await shared.take(name, per_minute, 1):
            return 0
        wait_s = await shared.wait_s(name, per_minute)
        # Whoever tries again before that costs no round trip.
        self._hand.keep(name, 0, now + wait_s)
        return wait_s

    async def _connect_when_it_failed(self) -> None:
        await self._has_failed.wait()
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._connect()
        except Exception as error:
            self._note_failure(error)
            await asyncio.sleep(CONNECT_AGAIN_S)
            return
        self._has_failed.clear()
        self._is_shared = True
        if self._is_known_to_fail:
            self._is_known_to_fail = False
            logger.info("limits_shared_again")

    async def _connect(self) -> None:
        if self._shared is None:
            from agents.limits.shared import SharedCounts

            self._shared = SharedCounts(self._redis_url, COUNT_S)
        await self._shared.connect()

    def _note_failure(self, error: Exception) -> None:
        self._is_shared = False
        self._has_failed.set()
        # A busy event loop may miss the deadline again and again.
        if not self._is_known_to_fail and (left_out := self._failures.take()) is not None:
            self._is_known_to_fail = True
            logger.warning("limits_not_shared", error=repr(error), left_out=left_out)
