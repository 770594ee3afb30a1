"""Counts per minute that all servers of the site share, kept in Redis by `limits`.

Imported only by sites with Redis: others do not have the packages.
"""

from __future__ import annotations

import math
import time
from typing import Any

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

MINUTE_S = 60

MOST_CONNECTIONS = 8
"""A process's connections to Redis: each count holds one for a fraction of a millisecond."""

PREFIX = "myagent:limits"

ANY_NUMBER = RateLimitItemPerMinute(1_000_000)


class SharedCounts:
    """As many of a name within any minute; each is forgotten after two.

    Raises what those packages raise. Cancelling is safe: it costs a connection.
    """

    def __init__(self, redis_url: str, wait_s: float) -> None:
        # A connection that broke while it was idle is opened again at once.
        once_more: Any = Retry(NoBackoff(), 1)
        self._pool: Any = BlockingConnectionPool.from_url(
            redis_url, max_connections=MOST_CONNECTIONS, timeout=wait_s, retry=once_more
        )
        options: dict[str, Any] = {"connection_pool": self._pool}
        self._storage = RedisStorage(
            redis_url, implementation="redispy", key_prefix=PREFIX, **options
        )
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    async def connect(self) -> None:
        """Prepares what a count needs, so that it takes one round trip."""
        await self._limiter.hit(ANY_NUMBER, "")

    async def take(self, name: str, per_minute: int) -> int:
        """Counts one; 0, or the seconds after which there is one again: then nothing was counted.

        Only who is refused needs a second round trip.
        """
        item = RateLimitItemPerMinute(per_minute)
        if await self._limiter.hit(item, name):
            return 0
        window = await self._limiter.get_window_stats(item, name)
        return max(1, min(MINUTE_S, math.ceil(window.reset_time - time.time())))

    async def close(self) -> None:
        await self._pool.aclose()
