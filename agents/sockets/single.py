"""What the dialects share whose client has one conversation, and says only texts and stops."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from functools import partial
from typing import Any

from agents.log.entry import Logged
from agents.ports import Refused
from agents.sockets.base import SocketConsumer
from agents.sockets.handshake import Host, Receive, Scope, Send
from agents.transients import Problem
from myagent.protocol import (
    Cancel,
    CloseCode,
    CreateSession,
    CreateSessionMetadata,
    UserMessage,
)

LANE = ""
"""The one lane of a socket: a conversation's texts and cancels keep their order."""

CREATE_S = 10.0
"""Seconds for which a first text waits until its session is in the log."""


class SingleConversation(SocketConsumer):
    """A socket with one conversation: one that it continues, or that its first text begins.

    `session_id` is None until there is one.
    """

    has_heartbeat = False

    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        super().open(scope, receive, send, host)
        self.session_id: str | None = None
        self.is_attached = False
        self._settled = asyncio.Event()

    # To be defined by a dialect.

    @abstractmethod
    def facts_of_client(self) -> dict[str, Any]:
        """What is stored with a conversation that this client begins."""

    @abstractmethod
    async def find_place(self, session_id: str) -> None:
        """Attaches the socket where it left the conversation. Raises `Refused`."""

    # What a dialect may call.

    async def run(self) -> None:
        if self.host.external(self.service) is None:
            await super().run()
        else:
            problem = Problem(self.lang, "no_service", "only_events")
            await self.say_goodbye(CloseCode.NO_SUCH_SERVICE, problem)

    def note_entry(self, logged: Logged) -> None:
        """To be called with each entry of the log."""
        if logged.event == "agent.session_created":
            self.session_id, self.is_attached = logged.session_id, True
            self._settled.set()

    def note_problem(self) -> None:
        """To be called with each problem that the socket is told."""
        self._settled.set()

    async def come_back(self, session_id: str) -> None:
        """Continues a conversation, before anything else that the client says."""
        self.session_id = session_id
        await self.lanes.take(LANE, 0, partial(self.attach, session_id))

    async def ask(self, text: str) -> None:
        """The client's next text. It is told if that is refused."""
        if not self.is_attached:
            if self.session_id is None:
                await self.create()
            else:
                await self.attach(self.session_id)
        if self.is_attached and self.session_id is not None:
            session_id = self.session_id
            message = UserMessage(event="user.message", session_id=session_id, content=text)
            await self.attempt(self.port.send(self, message), session_id)

    async def stop(self) -> None:
        """Cancels the present run. Where there is nothing to cancel, nothing happens."""
        if self.is_attached and self.session_id is not None:
            cancel = Cancel(event="user.cancel", session_id=self.session_id)
            await self.attempt(self.port.send(self, cancel), self.session_id)

    async def create(self) -> None:
        """Creates a session and waits until that is in the log or refused."""
        self._settled.clear()
        metadata = CreateSessionMetadata(client=self.facts_of_client())
        event = CreateSession(event="user.create_session", metadata=metadata)
        if not await self.attempt(self.port.create(self, event), None):
            return
        try:
            async with asyncio.timeout(CREATE_S):
                await self._settled.wait()
        except TimeoutError:
            self.say_refused("storage_unavailable")

    async def attach(self, session_id: str) -> None:
        """Continues a session; if it does not exist, a later text creates a new one."""
        self.is_attached = await self.attempt(self._return(session_id), session_id)

    async def _return(self, session_id: str) -> None:
        try:
            await self.find_place(session_id)
        except Refused as error:
            if error.code == "unknown_session":
                self.session_id = None
            raise
