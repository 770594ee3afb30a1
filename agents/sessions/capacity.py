"""Whether further sessions may begin: how many are in memory, and how many a service may have."""

from __future__ import annotations

from collections.abc import Sized

from django.conf import settings

from agents.directory import Directory, Listed
from agents.limits.places import RETRY_AFTER_S, Places
from agents.ownership.lease import Lease
from agents.ports import Refused
from agents.sessions.live import LiveSession
from agents.sessions.resources import Resources


class Capacity:
    """Of the sessions owned under `lease`, of which `live` are in memory.

    For its service a session counts while it is not idle. Its methods belong to the event loop.
    """

    def __init__(self, resources: Resources, lease: Lease, live: Sized) -> None:
        self._directory: Directory = resources.directory
        self._elsewhere = resources.held_elsewhere
        self._live = live
        self._held: dict[str, set[str]] = {}
        """Those that count, by service."""
        self.places = Places(resources.database, lambda: lease.server_id, self.held)

    def note(self, session: LiveSession) -> None:
        """A session in memory may have become idle, or may be so no longer."""
        if session.is_idle:
            self.forget(session)
        else:
            self._held.setdefault(session.service, set()).add(session.session_id)

    def forget(self, session: LiveSession) -> None:
        """The session counts no longer. May be called twice."""
        held = self._held.get(session.service)
        if held is None:
            return
        held.discard(session.session_id)
        if not held:
            del self._held[session.service]

    def held(self, service: str) -> int:
        """How many count for the service here, with those that its clients have elsewhere."""
        return len(self._held.get(service, ())) + self._elsewhere[service]

    @property
    def is_full(self) -> bool:
        """Whether no further session of any service may start here."""
        return len(self._live) >= 2 * int(settings.MYAGENT_LIVE_SESSIONS)

    def is_full_of(self, listed: Listed) -> bool:
        """Whether no further session of the service may start here, as far as is known."""
        limit = _most_of(listed)
        return self.is_full or bool(limit and self.places.is_full(listed.name, limit))

    async def claim(self, listed: Listed) -> None:
        """Raises `Refused` unless a session of the service may start, before the next await."""
        limit = _most_of(listed)
        if not limit or await self.places.claim(listed.name, limit):
            return
        raise Refused(
            "service_unavailable",
            sentence="service_full",
            detail=str(limit),
            limit="max_sessions",
            retry_after_s=RETRY_AFTER_S,
        )

    async def publish(self) -> None:
        """Tells other servers how many sessions of limited services are held here."""
        names = [*self._directory.names(), *self._directory.external()]
        found = map(self._directory.find, names)
        await self.places.publish([each.name for each in found if each and _most_of(each)])


def _most_of(listed: Listed) -> int:
    """The sessions of a service that all servers hold at once; 0: any number."""
    return listed.max_sessions or int(settings.MYAGENT_MAX_SESSIONS)
