"""All that a socket's consumer knows of sessions, and that sessions know of sockets.

The hub holds the sessions of this process; any other source of sessions implements the same two
interfaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

from agents.directory import Facts, Listed
from agents.log.entry import Logged
from agents.log.turns import Place
from agents.principals import Principal
from agents.transients import WORDS, Problem, Transient
from myagent.protocol import (
    Cancel,
    CloseSession,
    CreateSession,
    ErrorCode,
    Feedback,
    Response,
    UserMessage,
)

SessionEvent = UserMessage | Cancel | Response | Feedback | CloseSession


def message_of(event: SessionEvent) -> str | None:
    """The message that a refusal of the event has to name."""
    return event.metadata.message_id if isinstance(event, UserMessage | Feedback) else None


class Refused(Exception):
    """What a client asked for was not done. `code` is the protocol's; nothing changed, unless the
    sentence says that it is not known.

    `sentence`, `detail`, `limit` and `retry_after_s`: as for `Problem`.
    """

    def __init__(
        self,
        code: ErrorCode,
        *,
        message_id: str | None = None,
        sentence: str = "",
        detail: str = "",
        limit: str = "",
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(code)
        self.code: ErrorCode = code
        self.message_id = message_id
        self.sentence = sentence
        self.detail = detail
        self.limit = limit
        self.retry_after_s = retry_after_s

    @classmethod
    def above(cls, limit: str, most: int, retry_after_s: int) -> Self:
        """The client has reached a limit, by whose name its sentence is known, too."""
        return cls(
            "rate_limited",
            sentence=limit,
            detail=str(most),
            limit=limit,
            retry_after_s=retry_after_s,
        )

    @property
    def words(self) -> dict[str, Any]:
        """What the client is told besides the code, as arguments of `Problem`."""
        return {name: getattr(self, name) for name in WORDS}


class Asker(Protocol):
    """Who asks something of a session: a socket, or what stands for one of another server."""

    lang: str
    inbox_row: int | None
    """The row of the inbox that the request came by; None for a socket of this server."""
    principal: Principal | None
    """Who the client is; None if nobody has to authenticate."""

    @property
    def counted_as(self) -> str:
        """The name under which its messages are counted; '' if they are not.

        Its principal, and where nobody has to authenticate its address, except this machine's own
        and those of trusted proxies.
        """

    def tell(self, transient: Transient) -> None:
        """Queues something that is not in the log."""


PassOn = Callable[[Asker, SessionEvent], None]
"""Gives a request, which the loss of its session refused, to the session's next owner."""


class Socket(Asker, Protocol):
    """A client's connection, as a session sees it. Every method returns at once.

    `attached` belongs to the port: what it keeps for each session that the
    socket is attached to, and `agents.sessions.elsewhere` for each of an external service.
    """

    connection_id: str
    service: str | None
    """The service whose address the client used; None: any service of the server."""
    attached: dict[str, Any]
    replaying: asyncio.Lock
    """Held by the session whose log is read for the socket: one at a time."""

    @property
    def why_not_forwarded(self) -> str:
        """Why it can't have sessions of external services: the name of a sentence; '' if it can."""

    def facts(self, metadata: Mapping[str, Any]) -> Facts:
        """What is known of the client. `metadata`: what it sent to begin a session."""

    def push(self, logged: Logged) -> bool:
        """Queues a durable entry. False: there is no room, it was not taken."""

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        """Queues partial text, appended to queued text of the same step. False: there's no room."""

    async def room(self) -> None:
        """Waits until there is room. Cancelling is safe."""

    def close(self, code: int, problem: Problem) -> None:
        """Closes the socket after the queued frames and, as the last one, the reason are sent."""

    def lose(self, session_id: str, code: ErrorCode = "moved") -> None:
        """Tells the client that it is detached from the session and has to resume it.

        A socket without another session closes, so that the client reconnects.
        """


class SessionPort(Protocol):
    """Where sessions live. Methods raise `Refused`."""

    def may_wait(self, service: str) -> bool:
        """Whether the service takes messages: it has a worker, or is about to get one."""

    async def knows(self, service: str) -> bool:
        """Whether the service exists now."""

    async def create(self, socket: Socket, event: CreateSession) -> Listed | None:
        """Starts a session and attaches the socket to it.

        Or returns the external service that is to start it, where there is a place for it until the
        next await; only for a socket that can have such sessions.
        """

    async def attach(self, socket: Socket, session_id: str, last_seq: int) -> None:
        """Replays what came after `last_seq`, then continues live."""

    async def place_after(self, session_id: str, seq: int | None) -> Place:
        """Where a reader that has the turns up to `seq` continues.

        With None, which means 'not known', it is sent the unfinished turns. A session that does not
        exist has the same place as an empty one.
        """

    async def send(self, socket: Socket, event: SessionEvent) -> None:
        """Does what the client's event asks for; attaches the socket first if need be."""

    def detach(self, socket: Socket, session_id: str | None = None) -> None:
        """The socket leaves a session, or (None) all of them; sessions and runs go on."""

    def forget(self, session_id: str) -> None:
        """The session was removed from the log, and leaves memory. It has ended before."""
