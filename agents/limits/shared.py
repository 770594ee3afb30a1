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

    async def take(self, name: str, per_minute: int, count: int) -> bool:
        """Counts so many, if there are as many left."""
        return await self._limiter.hit(RateLimitItemPerMinute(per_minute), name, cost=count)

    async def wait_s(self, name: str, per_minute: int) -> int:
        """Seconds after which there is one again, at least 1."""
        window = await self._limiter.get_window_stats(RateLimitItemPerMinute(per_minute), name)
        return max(1, min(MINUTE_S, math.ceil(window.reset_time - time.time())))

    async def close(self) -> None:
        await self._pool.aclose()
