"""A session that another server owns, as the clients of this one see it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from agents import metrics
from agents.log.entry import Logged
from agents.ownership.followers import Followed
from agents.ports import Asker, SessionEvent, Socket
from agents.runtime.database import DatabaseThreads
from agents.runtime.durations import seconds_since
from agents.sessions.audience import Audience
from agents.sessions.pieces import Piece, RemoteText
from agents.sessions.subscription import Subscription
from agents.sessions.telling import Told
from myagent.protocol import TERMINAL_EVENTS

Ask = Callable[["FollowedSession", Asker, SessionEvent], Awaitable[None]]


class FollowedSession:
    """Its methods belong to the event loop. `ask` writes a request for the owner; `count` as in
    `Audience`.

    `seen` is the session as the log had it at any time: entries that it covers may be shown again.
    `last_seq`: the newest entry that was shown here.
    """

    def __init__(
        self,
        session_id: str,
        seen: Followed,
        database: DatabaseThreads,
        ask: Ask,
        count: Callable[[int], None],
    ) -> None:
        self.session_id = session_id
        self.owner_id = seen.owner_id
        self.service = seen.service
        self.lang = seen.lang
        self.principal = seen.principal
        self.last_seq = seen.last_seq
        self.audience = Audience(self, database, count=count)
        self.audience.current = lambda: self._text if self._text.text else None
        self.pending = 0
        """Requests that have no answer."""
        self.idle_since = asyncio.get_running_loop().time()
        self.order = asyncio.Lock()
        """Held while a request is written: they keep their order."""
        self._runs = set(seen.runs)
        self._asked = set(seen.asked)
        self._text = RemoteText()
        self._ask = ask

    @property
    def status(self) -> str:
        """`idle`, `running`, or `waiting` for somebody's confirmation."""
        if not self._runs:
            return "idle"
        return "waiting" if self._asked else "running"

    @property
    def is_idle(self) -> bool:
        """Whether no socket is attached and no request waits for its answer."""
        return not (self.audience or self.pending)

    def subscribe(self, socket: Socket, seq: int | None = None) -> Subscription:
        """Attaches at `seq`, or at the log's end; replaces the socket's earlier subscription."""
        return self.audience.add(socket, self.last_seq if seq is None else seq)

    def unsubscribe(self, socket: Socket) -> None:
        self.audience.remove(socket)
        self.idle_since = asyncio.get_running_loop().time()

    async def take(self, asker: Asker, event: SessionEvent) -> None:
        """Asks the owner to do what a client's event asks for. Raises `Refused`."""
        await self._ask(self, asker, event)

    def refresh(self, seen: Followed) -> None:
        """What the log says of its runs: a former owner may have known otherwise."""
        self._runs, self._asked = set(seen.runs), set(seen.asked)

    def show(self, entries: Sequence[Logged], end: int) -> None:
        """The next entries of the log, which was read up to `end`."""
        for logged in entries:
            if logged.seq <= self.last_seq:
                continue
            # Text that was shown before the entry comes before it.
            self._show_text()
            self.last_seq = logged.seq
            self._text.note(logged)
            self._fold(logged)
            self.audience.show([logged])
            metrics.FOLLOWER_DELAY_SECONDS.observe(seconds_since(logged.created_at))
        self.last_seq = max(self.last_seq, end)
        self._show_text()

    def hear(self, told: Sequence[Told]) -> bool:
        """What the owner tells. False: there is more than that, and the log has to be read."""
        is_whole = True
        for each in told:
            if isinstance(each, Piece):
                self._text.hear(each)
            elif each.seq <= self.last_seq + 1:
                self.show([each], each.seq)
            else:
                is_whole = False
        self._show_text()
        return is_whole and not self._text.is_behind

    def _show_text(self) -> None:
        for piece in self._text.ready(self.last_seq):
            if piece.notice:
                self.audience.show_notice(piece.notice)
            elif piece.text is None:
                self.audience.show_thinking(piece.step)
            else:
                self.audience.show_text(piece.run_id, piece.step, piece.offset, piece.text)

    def _fold(self, logged: Logged) -> None:
        if logged.event == "user.message":
            self._runs.add(logged.data["metadata"]["run_id"])
        elif logged.event in TERMINAL_EVENTS:
            self._runs.discard(logged.data["metadata"]["run_id"])
            self._asked.clear()
        elif logged.event == "agent.user_confirm":
            self._asked.add(logged.step_id)
        elif logged.event in ("user.response", "agent.tool_result"):
            self._asked.discard(logged.step_id)
