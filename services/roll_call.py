"""Every server says in Redis that it is there, and which database it uses.

So it can be told whether all servers of a site have the same of both: one with another database, or
another Redis, works, and its clients wait for news that never come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min

from agents.chores import Chore
from agents.models import Server
from agents.runtime.database import DatabaseThreads
from agents.runtime.process import own_identity

logger = structlog.get_logger(__name__)

NAME = "myagent:servers"
"""A hash in Redis: what each server says of itself, by its id."""

EVERY_S = 15.0
FORGOTTEN_S = 60.0
"""Seconds after which a server that says nothing more is not there any more."""


@dataclass(frozen=True, slots=True)
class Present:
    """`database`: see `database_mark`. `at`: when it was said, in seconds of Redis's clock."""

    server_id: str
    name: str
    database: str
    at: float = 0.0


def database_mark() -> str:
    """What tells one database of a site from another: when its first table was made.

    Copies of a database have the same.
    """
    first = MigrationRecorder(connection).migration_qs.aggregate(at=Min("applied"))["at"]
    return "" if first is None else first.isoformat()


async def _answer(database: DatabaseThreads) -> None:
    """A Redis that doesn't answer is no failure: the bell says so, and `EVERY_S` later is soon."""
    if not settings.REDIS_URL:
        return
    own = await database.run(_own)
    if own is None:
        return
    # A site without Redis need not have the package.
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    try:
        async with asyncio.timeout(EVERY_S), Redis.from_url(settings.REDIS_URL) as redis:
            now, _ = await redis.time()
            await redis.hset(NAME, own.server_id, orjson.dumps([own.name, own.database, now]))
            present = read(await redis.hgetall(NAME))
            late = [each.server_id for each in present if is_late(each, now)]
            if late:
                await redis.hdel(NAME, *late)
            await redis.expire(NAME, round(FORGOTTEN_S))
    except (RedisError, OSError, TimeoutError) as error:
        logger.debug("roll_call_missed", error=str(error))


def _own() -> Present | None:
    """None before the server has registered."""
    server = Server.objects.filter(process=own_identity(), ended_at__isnull=True).first()
    if server is None:
        return None
    return Present(server.pk, f"{server.host}:{server.port}", database_mark())


def read(said: Mapping[Any, Any]) -> list[Present]:
    """What Redis has of `NAME`. Servers of a later version may say more."""
    return [Present(id_.decode(), *orjson.loads(text)[:3]) for id_, text in said.items()]


def is_late(present: Present, now: float) -> bool:
    """`now`: by Redis's clock. Those of the machines may differ."""
    return now - present.at > FORGOTTEN_S


ROLL_CALL = Chore(EVERY_S, _answer)
