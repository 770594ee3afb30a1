"""Counts per minute: shared over servers through Redis, else those of this process."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

import structlog

from agents.runtime.background import Background
from agents.runtime.limits import Buckets

if TYPE_CHECKING:
    from agents.limits.shared import SharedCounts

logger = structlog.get_logger(__name__)

COUNT_S = 0.05
"""Seconds that a count may take in Redis; then this process's own one decides."""

CONNECT_S = 2.0
CONNECT_AGAIN_S = 5.0
"""Seconds between two attempts to reach a Redis that failed; messages do not wait for them."""

MINUTE_S = 60

REMEMBERED = 10_000
"""Names that are remembered to have nothing left; others are asked about once more."""


class Rates:
    """How often something happens per minute, by name. Its methods belong to the event loop.

    `redis_url`: '' counts in this process alone, and so do a Redis that does not answer in time and
    the time until it does. A process's own count allows as many at once, and then one after the
    other; the shared one, as many within any minute.
    """

    def __init__(self, redis_url: str = "") -> None:
        self._redis_url = redis_url
        self._own = Buckets()
        self._shared: SharedCounts | None = None
        self._is_shared = False
        self._has_failed = asyncio.Event()
        self._has_failed.set()
        self._is_known_to_fail = False
        self._used_up: OrderedDict[str, float] = OrderedDict()
        """Until when names have nothing left, by the event loop's clock."""

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

        Whoever is granted one waits for at most one round trip, and a limited time. Cancelling is
        safe.
        """
        if not self._is_shared or self._shared is None:
            return math.ceil(self._own.take(name, per_minute / MINUTE_S, per_minute))
        now = asyncio.get_running_loop().time()
        if now < (until := self._used_up.get(name, 0.0)):
            return math.ceil(until - now)
        try:
            async with asyncio.timeout(COUNT_S):
                wait_s = await self._shared.take(name, per_minute)
        except Exception as error:
            # Redis errors belong to a package that may not be installed.
            self._note_failure(error)
            return await self.take(name, per_minute)
        if wait_s:
            self._remember(name, now + wait_s)
        return wait_s

    def _remember(self, name: str, until: float) -> None:
        """Spares Redis whoever tries again before that."""
        self._used_up.pop(name, None)
        self._used_up[name] = until
        if len(self._used_up) > REMEMBERED:
            self._used_up.popitem(last=False)

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
        if not self._is_known_to_fail:
            self._is_known_to_fail = True
            logger.warning("limits_not_shared", error=repr(error))
