"""What this server and the others of the site tell each other: one loop, and one bell."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from django.db import Error as DatabaseFailure

from agents.ownership import followers, requests
from agents.ownership.decisions import is_handed_over
from agents.ownership.lease import Lease
from agents.runtime.bell import Bell
from agents.runtime.explaining import explain
from agents.sessions.errands import Errands
from agents.sessions.holding import Sessions
from agents.sessions.live import LiveSession
from agents.sessions.pieces import Piece
from agents.sessions.relay import name_of
from agents.sessions.resources import Resources
from agents.sessions.telling import decode

logger = structlog.get_logger(__name__)

LOOK_S = 0.2
"""Seconds between two looks at the database, for a server that no bell calls."""


class Neighbours:
    """Its methods belong to the event loop. `start` after the lease is registered.

    An owner looks for requests, for followers, and for sessions that were taken from it; a
    follower, for entries and answers. A server that neither owns nor follows any asks nothing.
    """

    def __init__(self, resources: Resources, sessions: Sessions, lease: Lease) -> None:
        self._resources = resources
        self._sessions = sessions
        self._lease = lease
        self._wake = asyncio.Event()
        self._bell: Bell | None = None
        self._bell_of = ""
        self._errands = Errands(resources, sessions.opening.open_asked, resources.relay.ring)
        sessions.on_asked = self._on_asked

    def start(self) -> None:
        self._resources.background.repeat(0, self._look_when_due)

    async def stop(self) -> None:
        """May be called twice."""
        self._errands.stop()
        if self._bell is not None:
            await self._bell.stop()

    async def _look_when_due(self) -> None:
        # Whatever fails is tried again after the usual pause.
        await self._listen()
        try:
            await self._look()
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
        except Exception:
            logger.exception("look_failed")
        assert self._bell is not None
        try:
            async with asyncio.timeout(self._bell.pause_s(LOOK_S)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _listen(self) -> None:
        """The bell has the name that others know the server by, which changes with its lease."""
        if self._bell_of == self._lease.server_id:
            return
        if self._bell is not None:
            await self._bell.stop()
        self._bell_of = self._lease.server_id
        self._bell = Bell(name_of(self._bell_of), self._wake.set, self._hear)
        self._bell.start()

    async def _look(self) -> None:
        self._wake.clear()
        if self._sessions.may_own_any or self._sessions.following.waits_for_answers:
            own_id = self._lease.server_id
            found = await self._resources.database.run(followers.look, own_id)
            if own_id == self._lease.server_id:
                self._note_followers(found.followers)
                await self._note_lost(found.lost)
                self._errands.note(found.requests)
                await self._hand_over()
        if self._sessions.following and await self._sessions.following.look():
            self._wake.set()

    async def _note_lost(self, lost: list[tuple[int, str, int]]) -> None:
        for _, session_id, epoch in lost:
            live = self._sessions.get(session_id)
            if live is not None and live.epoch < epoch:
                self._sessions.lose(live)
        if lost:
            await self._resources.database.run(requests.forget, [row_id for row_id, _, _ in lost])

    def _note_followers(self, present: dict[str, frozenset[str]]) -> None:
        former, self._resources.relay.followers = self._resources.relay.followers, present
        for session_id, servers in present.items():
            for server_id in servers - former.get(session_id, frozenset()):
                self._show_so_far(session_id, server_id)

    def _show_so_far(self, session_id: str, server_id: str) -> None:
        live = self._sessions.get(session_id)
        if live is None or live.current is None:
            return
        so_far = live.current.preview
        if so_far.text:
            piece = Piece(live.last_seq, so_far.run_id, so_far.step, 0, so_far.text)
            self._resources.relay.send(server_id, session_id, piece)

    async def _hand_over(self) -> None:
        """Leaves what is idle here to the servers whose clients follow it.

        All at once: when a proxy restarts, every second client may come to another server.
        """
        left: list[LiveSession] = []
        followed_by: set[str] = set()
        for session_id, servers in self._resources.relay.followers.items():
            live = self._sessions.get(session_id)
            if live is not None and is_handed_over(is_idle=live.is_idle, is_followed=bool(servers)):
                logger.info("session_handed_over", session_id=session_id)
                left.append(live)
                followed_by |= servers
        if left:
            await self._sessions.give_up(left)
        for server_id in followed_by:
            self._resources.relay.ring(server_id)

    def _on_asked(self, owner_id: str) -> None:
        """This server has asked something of an owner, or has to read the log."""
        self._wake.set()
        if owner_id:
            self._resources.relay.ring(owner_id)

    def _hear(self, words: dict[str, Any]) -> None:
        if words["has_grown"]:
            self._wake.set()
        for session_id, told in words["told"].items():
            self._sessions.following.hear(session_id, [decode(session_id, each) for each in told])
