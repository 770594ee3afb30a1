"""Brings what an owner tells the servers that follow its sessions: entries, and text before them.

All of it may be lost: followers read the log as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.log.entry import Logged
from agents.runtime import bell
from agents.runtime.background import Background
from agents.sessions.pieces import Piece
from agents.sessions.telling import Told, encode

PAUSE_S = 0.01
"""Seconds between two messages to one server: a busy owner says more in each."""

MOST_ENTRIES = 64 * 1024
"""Bytes of entries in one message; followers read further ones from the log."""


def name_of(server_id: str) -> str:
    """The bell that a server listens to."""
    return f"server.{server_id}"


@dataclass(slots=True)
class _Post:
    """What waits for one server: until the next message is sent."""

    has_grown: bool = False
    """Whether the database holds what the message does not."""
    told: dict[str, list[Told]] = field(default_factory=dict)
    """By session; text of the same step is one piece."""
    entries_size: int = 0

    def add_entry(self, logged: Logged) -> None:
        self.entries_size += len(logged.payload)
        if self.entries_size > MOST_ENTRIES:
            self.has_grown = True
        else:
            self.told.setdefault(logged.session_id, []).append(logged)

    def add_piece(self, session_id: str, piece: Piece) -> None:
        waiting = self.told.setdefault(session_id, [])
        last = waiting[-1] if waiting else None
        if isinstance(last, Piece) and piece.follows(last):
            waiting.pop()
            text = (last.text or "") + (piece.text or "")
            piece = Piece(last.seq, last.run_id, last.step, last.offset, text)
        elif piece.text is None and not piece.notice:
            # A step starts: text of an earlier one is in the log, or gone.
            waiting[:] = [each for each in waiting if not _is_preview(each)]
        waiting.append(piece)


class Relay:
    """Its methods belong to the event loop, and return at once.

    `followers`: by session, the servers that follow it.
    """

    def __init__(self, background: Background) -> None:
        self.followers: Mapping[str, frozenset[str]] = {}
        self._background = background
        self._posts: dict[str, _Post] = {}

    def note_logged(self, session_id: str, logged: Sequence[Logged]) -> None:
        """The session's log has grown by these entries."""
        followers = self.followers.get(session_id)
        if not followers or not bell.is_shared():
            return
        for server_id in followers:
            post = self._post_to(server_id)
            for entry in logged:
                post.add_entry(entry)

    def ring(self, server_id: str) -> None:
        """Asks a server to look at the database."""
        if bell.is_shared():
            self._post_to(server_id).has_grown = True

    def show(self, session_id: str, piece: Piece) -> None:
        """Partial text of the session."""
        for server_id in self.followers.get(session_id, ()):
            self.send(server_id, session_id, piece)

    def send(self, server_id: str, session_id: str, piece: Piece) -> None:
        """The same for one follower."""
        if bell.is_shared():
            self._post_to(server_id).add_piece(session_id, piece)

    def _post_to(self, server_id: str) -> _Post:
        post = self._posts.get(server_id)
        if post is None:
            post = self._posts[server_id] = _Post()
            self._background.start(self._deliver(server_id, post))
        return post

    async def _deliver(self, server_id: str, post: _Post) -> None:
        # What is noted in the same moment goes together.
        await asyncio.sleep(0)
        try:
            while post.has_grown or post.told:
                words = {
                    "has_grown": post.has_grown,
                    "told": {id_: [encode(each) for each in told]
                             for id_, told in post.told.items()},
                }  # fmt: skip
                post.has_grown, post.told, post.entries_size = False, {}, 0
                await bell.send_words(name_of(server_id), words)
                await asyncio.sleep(PAUSE_S)
        finally:
            del self._posts[server_id]


def _is_preview(told: Told) -> bool:
    return isinstance(told, Piece) and not told.notice
