"""A session's message ids: which messages it has accepted, and which are on their way.

So a message that is sent again runs once: it is recognised, or joined while
the first one is still being written.
"""

from __future__ import annotations

from collections import OrderedDict

from agents.log import reading
from agents.ports import Asker
from agents.runtime.database import DatabaseThreads


class Inbox:
    """`opened` knows the newest messages and their place in the log."""

    def __init__(self, session_id: str, database: DatabaseThreads, opened: reading.Opened) -> None:
        self._session_id = session_id
        self._database = database
        self._accepted = OrderedDict(reversed(opened.message_ids.items()))
        self._knows_all = opened.knows_all_messages
        self._on_its_way: dict[str, list[Asker]] = {}

    def expect(self, message_id: str) -> None:
        """The message is being written."""
        self._on_its_way[message_id] = []

    def join(self, message_id: str, socket: Asker) -> bool:
        """Lets a socket wait for a message that is being written; False if it is not."""
        if message_id not in self._on_its_way:
            return False
        self._on_its_way[message_id].append(socket)
        return True

    def settle(self, message_id: str, seq: int | None) -> list[Asker]:
        """Records the message's place in the log, or None if it was refused; returns who waits."""
        if seq is not None:
            self.remember(message_id, seq)
        return self._on_its_way.pop(message_id, [])

    def remember(self, message_id: str, seq: int) -> None:
        self._accepted[message_id] = seq
        if len(self._accepted) > reading.REMEMBERED_MESSAGES:
            self._accepted.popitem(last=False)
            self._knows_all = False

    async def find(self, message_id: str, *, thoroughly: bool) -> int | None:
        """The message's place in the log. `thoroughly`: even a very old one is found."""
        seq = self._accepted.get(message_id)
        if seq is None and thoroughly and not self._knows_all:
            seq = await self._database.run(reading.accepted_seq, self._session_id, message_id)
            if seq is None:
                # It may have been accepted since the database was read.
                seq = self._accepted.get(message_id)
        return seq
