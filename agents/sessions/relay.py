"""What an owner tells the servers that follow its sessions: that the log has grown, and text.

All of it may be lost: followers read the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from agents.runtime import bell
from agents.runtime.background import Background
from agents.sessions.pieces import Piece

PAUSE_S = 0.01
"""Seconds between two messages to one server: a busy owner says more in each."""


def name_of(server_id: str) -> str:
    """The bell that a server listens to."""
    return f"server.{server_id}"


@dataclass(slots=True)
class _Post:
    """What waits for one server: until the next message is sent."""

    has_grown: bool = False
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    """By session; text of the same step is one piece."""


class Relay:
    """Its methods belong to the event loop, and return at once.

    `followers`: by session, the servers that follow it.
    """

    def __init__(self, background: Background) -> None:
        self.followers: Mapping[str, frozenset[str]] = {}
        self._background = background
        self._posts: dict[str, _Post] = {}

    def note_logged(self, session_id: str) -> None:
        """The session's log has grown."""
        for server_id in self.followers.get(session_id, ()):
            self.ring(server_id)

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
        if not bell.is_shared():
            return
        waiting = self._post_to(server_id).pieces.setdefault(session_id, [])
        if waiting and piece.follows(waiting[-1]):
            last = waiting.pop()
            text = (last.text or "") + (piece.text or "")
            piece = Piece(last.seq, last.run_id, last.step, last.offset, text)
        elif piece.text is None:
            # A step starts: text of an earlier one is in the log, or gone.
            waiting.clear()
        waiting.append(piece)

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
            while post.has_grown or post.pieces:
                words = {
                    "has_grown": post.has_grown,
                    "pieces": [
                        {"session_id": session_id, **asdict(piece)}
                        for session_id, waiting in post.pieces.items()
                        for piece in waiting
                    ],
                }
                post.has_grown, post.pieces = False, {}
                await bell.ring_now(name_of(server_id), words)
                await asyncio.sleep(PAUSE_S)
        finally:
            del self._posts[server_id]
