"""The sessions of one client that are at external services, beside those that are here."""

from __future__ import annotations

import asyncio
from collections import Counter

from agents.directory import Listed
from agents.ports import Refused
from agents.sessions.elsewhere import ExternalSession
from agents.sockets.events import EventsConsumer
from agents.sockets.external.branch import Branch
from agents.sockets.external.frames import without_address
from agents.sockets.external.guest import check_room
from myagent.protocol import Reconnect


class Away:
    """One `Branch` for each service, from its first session until the client leaves.

    Methods that wait raise `Refused`.
    """

    def __init__(self, client: EventsConsumer) -> None:
        self._client = client
        self._asked: Counter[str] = Counter()
        self._branches: dict[str, Branch] = {}

    def check_room(self) -> None:
        """Whether the client may have one more session, of any service."""
        check_room(self._client, self._asked)

    async def create(self, external: Listed, text: str) -> None:
        """Passes on a request for a session, for which there is a place until the next await."""
        await self._branch(external).create(without_address(text))

    async def resume(self, event: Reconnect, text: str) -> None:
        """Brings the client back to the service of its session."""
        elsewhere, session_id = self._client.host.elsewhere, event.session_id
        external = await self._present(await elsewhere.find(session_id, self._client.principal))
        await elsewhere.touch(session_id)
        await self._branch(external).resume(session_id, text)

    async def send(self, session: ExternalSession, text: str) -> None:
        """Passes on what the client says in a session that it has."""
        branch = self._branches.get(session.service)
        if branch is None:
            raise Refused("service_unavailable")
        await branch.send(text)

    async def explain(self, session_id: str) -> Refused:
        """Why a session that is not here takes nothing from the client now."""
        await self._client.host.elsewhere.find(session_id, self._client.principal)
        return Refused("service_unavailable", sentence="external_not_resumed")

    def beat(self) -> None:
        for branch in self._branches.values():
            branch.beat()

    async def end(self) -> None:
        """Hangs up everywhere. May be called twice."""
        await asyncio.gather(*(branch.end() for branch in self._branches.values()))

    # Internals.

    async def _present(self, service: str) -> Listed:
        """The service, if it is open to clients."""
        if self._client.service not in (None, service):
            raise Refused("unknown_session")
        if await self._client.host.admit(service) is not None:
            raise Refused("unknown_session")
        external = self._client.host.external(service)
        if external is None:
            raise Refused("unknown_session")
        if not external.is_expected:
            raise Refused("service_unavailable", sentence="no_worker")
        return external

    def _branch(self, external: Listed) -> Branch:
        branch = self._branches.get(external.name)
        if branch is None or branch.is_over:
            branch = Branch(self._client, external, self._asked)
            self._branches[external.name] = branch
        return branch
