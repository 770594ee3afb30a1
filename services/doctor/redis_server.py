"""Asks Redis, and judges what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext_noop

from services.doctor.finding import Finding, fine, problem, warning

LEAST_VERSION = 5
"""The first with the commands that channels-redis uses."""

ANSWER_S = 3.0

FULL = 0.9
"""The part of `maxmemory` above which it is nearly full."""


def look_at_redis(url: str) -> Iterator[Finding]:
    """`url`: '' if there is none."""
    if not url:
        yield fine("redis", gettext_noop("No REDIS_URL: processes tell each other by polling."))
        return
    # A site without Redis need not have the package.
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    times: Any = {"socket_connect_timeout": ANSWER_S, "socket_timeout": ANSWER_S}
    try:
        with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **times) as client:
            said: Mapping[str, Any] = client.info()
    except (redis.RedisError, OSError, ValueError) as error:
        yield problem(
            "redis",
            gettext_noop("Redis doesn't answer: {reason}"),
            gettext_noop(
                "See that it runs, and that REDIS_URL names its host, port and password; without "
                "REDIS_URL the site does without it, a little slower."
            ),
            # Some errors have a line for each address.
            reason=" ".join(str(error).split()),
        )
        return
    yield from judge(said)


def judge(said: Mapping[str, Any]) -> Iterator[Finding]:
    """`said`: what `INFO` answers."""
    version, policy = str(said["redis_version"]), str(said.get("maxmemory_policy", "noeviction"))
    limit, used = int(said.get("maxmemory", 0)), int(said.get("used_memory", 0))
    if int(version.partition(".")[0]) < LEAST_VERSION:
        yield problem(
            "redis",
            gettext_noop("Redis {version} is too old."),
            gettext_noop("Version {least} or later is needed."),
            version=version,
            least=LEAST_VERSION,
        )
        return
    yield fine("redis", gettext_noop("Redis {version} answers."), version=version)
    if limit and policy.startswith("allkeys"):
        yield warning(
            "redis_eviction",
            gettext_noop("Redis forgets any key when its memory is full ({policy})."),
            gettext_noop(
                "Set maxmemory-policy to noeviction or volatile-ttl: else news reach other servers "
                "late, and limits of clients count anew."
            ),
            policy=policy,
        )
    if limit and used > FULL * limit:
        yield warning(
            "redis_memory",
            gettext_noop("Redis has used {percent} % of its maxmemory."),
            gettext_noop("Give it more, or let nothing else use it."),
            percent=round(100 * used / limit),
        )
    if said.get("role") == "slave":
        yield problem(
            "redis",
            gettext_noop("REDIS_URL names a replica, to which nothing can be written."),
            gettext_noop("Name the primary."),
        )
