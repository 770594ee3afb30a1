"""What the limits of a site allow one session: its messages, and that it is at work."""

from __future__ import annotations

from collections.abc import Callable

from agents.ownership.taking import Taken
from agents.ports import Asker
from agents.sessions.resources import Resources


class Quota:
    """Of a session that was `taken`.

    Its methods belong to the event loop; those that take or check raise `Refused`.
    """

    def __init__(self, taken: Taken, resources: Resources, is_at_work: Callable[[], bool]) -> None:
        self._session_id = taken.session_id
        self._service = taken.service
        self._principal = taken.principal
        """A key; '' if nobody had to authenticate."""
        self._messages = resources.message_rates
        self._runs = resources.runs_at_once
        self._is_at_work = is_at_work
        self._owner = ""
        """By whose name its work is counted now."""

    def is_limited(self, asker: Asker) -> bool:
        """Whether a message of this client has to be counted."""
        client = asker.counted_as
        return self._messages.apply_to(client) or self._runs.apply_to(self._principal or client)

    async def take(self, asker: Asker) -> int:
        """Counts a message; returns the principal's conversations at work that are not here.

        Cancelling is safe.
        """
        elsewhere = 0
        if not self._is_at_work():
            elsewhere = await self._runs.elsewhere(self._principal)
            self.check(asker, elsewhere)
        await self._messages.take(asker.counted_as, self._service)
        return elsewhere

    def check(self, asker: Asker, elsewhere: int) -> None:
        """Whether a message may start a run; one that waits for its turn may come in anyway."""
        if not self._is_at_work():
            self._runs.check(self._principal or asker.counted_as, elsewhere)

    def enter(self, client: str = "") -> None:
        """The session is at work now. `client`: who made it so, a name as in `counted_as`."""
        self.leave()
        self._owner = self._principal or client
        self._runs.enter(self._owner, self._session_id, self._is_at_work)

    def leave(self) -> None:
        """It is at rest, or not here any more. May be called twice."""
        self._runs.leave(self._owner, self._session_id)
