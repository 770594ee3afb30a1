"""Judges whether all servers of the site have the same database and the same Redis. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_noop

from services.doctor.finding import Finding, fine, warning
from services.roll_call import Present


@dataclass(frozen=True, slots=True)
class Registered:
    """A server that runs, by the database; `is_new`: it may not have answered in Redis yet."""

    server_id: str
    name: str
    is_new: bool = False


def judge(
    own: str, registered: Sequence[Registered], present: Sequence[Present]
) -> Iterator[Finding]:
    """`own`: the mark of this database; `present`: who answers in this Redis."""
    absent = {server.server_id: server for server in registered if not server.is_new}
    for server in present:
        absent.pop(server.server_id, None)
    for missing in absent.values():
        yield warning(
            "one_redis",
            gettext_noop("The server {name} does not use this Redis, or doesn't reach it."),
            gettext_noop(
                "Give all servers of the site the same REDIS_URL, and restart them: else its "
                "clients hear of news late, and limits count apart."
            ),
            name=missing.name,
        )
    others = [server for server in present if server.database != own]
    for other in others:
        yield warning(
            "one_database",
            gettext_noop("The server {name} uses this Redis with another database."),
            gettext_noop(
                "If it belongs to this site, give it the same DATABASE_URL; if it is another "
                "site's, give each site a Redis database of its own (redis://HOST:6379/1)."
            ),
            name=other.name,
        )
    if not absent and not others:
        yield fine("one_site", gettext_noop("All servers use this database and this Redis."))
