"""Where a client that comes back stands in a session's log."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.log import reading
from agents.log.entry import Logged
from agents.runtime.database import DatabaseThreads
from agents.runtime.gathering import Gathering

MOST_AT_ONCE = 32
"""Maximum number of places whose next entries are read together."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the log holds around `seq`, the newest entry that the client has.

    `first`: the entries that come next. `oldest`: the oldest entry, if the next one is no longer
    kept; `newest`: the end of the log, if the client claims to have more than this process knows
    of.
    """

    seq: int
    first: list[Logged] = field(default_factory=list)
    oldest: int = 0
    newest: int = 0

    def is_lost(self, end: int) -> bool:
        """Whether the next entries are lost, in a log that is known to end at `end`."""
        return self.seq > max(end, self.newest) or self.seq + 1 < self.oldest

    def start(self, end: int) -> int:
        """The entry after which the replay begins."""
        return max(0, self.oldest - 1) if self.is_lost(end) else self.seq


class Standings:
    """Reads the logs, together for all concurrent requests."""

    def __init__(self, database: DatabaseThreads) -> None:
        self._database = database
        self._next_entries = Gathering(self._read, MOST_AT_ONCE)

    async def find(self, session_id: str, seq: int, end: int) -> Standing:
        """The standing in a log that is known to end at `end`. Raises `django.db.Error`."""
        if seq > end:
            # New entries are in the log before this process is told.
            newest = await self._database.run(reading.newest_seq, session_id)
            return Standing(seq, newest=newest)
        if seq == end:
            return Standing(seq)
        first = await self._next_entries.ask((session_id, seq)) or []
        if first and first[0].seq == seq + 1:
            return Standing(seq, first)
        oldest = await self._database.run(reading.oldest_seq, session_id)
        # The oldest entry of a log that was pruned completely is its next one.
        return Standing(seq, oldest=oldest or end + 1)

    async def end(self) -> None:
        """Stops answering. May be called twice."""
        await self._next_entries.end()

    async def _read(self, places: list[reading.LogPlace]) -> dict[reading.LogPlace, list[Logged]]:
        return await self._database.run(reading.next_entries, places)
