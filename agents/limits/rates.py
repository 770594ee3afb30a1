"""Counts per minute: shared over servers through Redis, else those of this process."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import structlog

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

REMEMBERED = 10_000
"""Names of which is remembered what is left; others are asked about once more."""


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
        self._left: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """What Redis gave or refused (0) to each name, until when, by the event loop's clock."""

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

    async def take(self, name: str, per_minute: int) -> int:
        """Counts one; 0, or the seconds after which there is one again: then nothing was counted.

        Whoever is granted one waits for no round trip or one, near the limit for two, and a limited
        time. Cancelling is safe.
        """
        if not self._is_shared or self._shared is None:
            return math.ceil(self._own.take(name, per_minute / MINUTE_S, per_minute))
        now = asyncio.get_running_loop().time()
        left, until = self._left.get(name, (0, 0.0))
        if now < until:
            if not left:
                return math.ceil(until - now)
            self._left[name] = left - 1, until if left > 1 else now
            return 0
        try:
            async with asyncio.timeout(COUNT_S):
                return await self._take_shared(self._shared, name, per_minute, now)
        except Exception as error:
            # Redis errors belong to a package that may not be installed.
            self._note_failure(error)
            return await self.take(name, per_minute)

    async def _take_shared(
        self, shared: SharedCounts, name: str, per_minute: int, now: float
    ) -> int:
        some = max(1, per_minute // SHARE)
        if await shared.take(name, per_minute, some):
            if some > 1:
                self._remember(name, some - 1, now + MINUTE_S)
            return 0
        if some > 1 and await shared.take(name, per_minute, 1):
            return 0
        wait_s = await shared.wait_s(name, per_minute)
        # Whoever tries again before that costs no round trip.
        self._remember(name, 0, now + wait_s)
        return wait_s

    def _remember(self, name: str, left: int, until: float) -> None:
        self._left.pop(name, None)
        self._left[name] = left, until
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)

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
