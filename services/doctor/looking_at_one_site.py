"""Asks which servers run by the database, and by Redis, for `one_site` to judge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from agents.models import LEASE_HOLDS, Server
from agents.runtime.process import is_provably_gone
from services import roll_call
from services.doctor import one_site
from services.doctor.finding import Finding
from services.doctor.one_site import Registered
from services.doctor.redis_server import ANSWER_S

NEW = timedelta(seconds=2 * roll_call.EVERY_S)
"""So old a server has answered."""


def look_at_one_site() -> Iterator[Finding]:
    """Nothing without Redis, or while that does not answer, which is said elsewhere."""
    if not settings.REDIS_URL:
        return
    import redis

    times: Any = {"socket_connect_timeout": ANSWER_S, "socket_timeout": ANSWER_S}
    try:
        with redis.Redis.from_url(settings.REDIS_URL, **times) as client:
            said: Any = client.hgetall(roll_call.NAME)
            now = client.time()[0]
    except (redis.RedisError, OSError, ValueError):
        return
    present = [each for each in roll_call.read(said) if not roll_call.is_late(each, now)]
    yield from one_site.judge(roll_call.database_mark(), _registered(), present)


def _registered() -> list[Registered]:
    """Those of this version: an older one may not answer yet."""
    live = Server.objects.filter(LEASE_HOLDS, version=settings.VERSION).order_by("started_at")
    return [
        Registered(row.pk, f"{row.host}:{row.port}", is_new=timezone.now() - row.started_at < NEW)
        for row in live
        if not is_provably_gone(row.process)
    ]
