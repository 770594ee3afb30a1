"""Every server says in Redis that it is there, and which database it uses.

So it can be told whether all servers of a site have the same of both: one with another database, or
another Redis, works, and its clients wait for news that never come.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import orjson
from django.conf import settings
from django.db import connection
from django.db.models import Min
from django.db.migrations.recorder import MigrationRecorder

from agents.chores import Chore
from agents.models import Server
from agents.runtime.database import DatabaseThreads
from agents.runtime.process import own_identity

NAME = "myagent:servers"
"""A hash in Redis: what each server says of itself, by its id."""

EVERY_S = 15.0
FORGOTTEN_S = 60.0
"""Seconds after which a server that says nothing more is not there any more."""


@dataclass(frozen=True, slots=True)
class Present:
    """`database`: see `database_mark`. `at`: when it was said, by the server's own clock."""

    server_id: str
    name: str
    database: str
    at: float


def database_mark() -> str:
    """What tells one database of a site from another: when its first table was made.

    Copies of a database have the same.
    """
    first = MigrationRecorder(connection).migration_qs.aggregate(at=Min("applied"))["at"]
    return "" if first is None else first.isoformat()


async def _answer(database: DatabaseThreads) -> None:
    if not settings.REDIS_URL:
        return
    found = await database.run(_own)
    if found is None:
        return
    # A site without Redis need not have the package.
    from redis.asyncio import Redis

    async with Redis.from_url(settings.REDIS_URL, socket_timeout=EVERY_S / 3) as redis:
        said = orjson.dumps([found.name, found.database, found.at])
        async with redis.pipeline() as pipeline:
            pipeline.hset(NAME, found.server_id, said)
            pipeline.expire(NAME, round(FORGOTTEN_S))
            await pipeline.execute()
        late = [each.server_id for each in read(await redis.hgetall(NAME)) if is_late(each)]
        if late:
            await redis.hdel(NAME, *late)


def _own() -> Present | None:
    """None before the server has registered."""
    server = Server.objects.filter(process=own_identity(), ended_at__isnull=True).first()
    if server is None:
        return None
    return Present(server.pk, f"{server.host}:{server.port}", database_mark(), time.time())


def read(said: dict[bytes, bytes]) -> list[Present]:
    """What Redis has of `NAME`."""
    return [Present(server_id.decode(), *orjson.loads(text)) for server_id, text in said.items()]


def is_late(present: Present) -> bool:
    return time.time() - present.at > FORGOTTEN_S


ROLL_CALL = Chore(EVERY_S, _answer)
