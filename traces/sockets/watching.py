"""A client that watches the traces of all services, as far as it may see them."""

from __future__ import annotations

import asyncio

import structlog

from agents.log.entry import Logged
from agents.runtime import background
from agents.sentences import say
from agents.sockets.handshake import Host, Receive, Refusal, Scope, Send, query_of
from agents.transients import Problem
from myagent.protocol import CloseCode, ProtocolError
from myagent.protocol.client_events import read_object
from traces.live.messages import Message
from traces.live.selection import Selection, Unusable
from traces.live.tail import tail_of
from traces.live.viewer import TooFarBehind, Viewer
from traces.live.watched import Watched
from traces.sockets.dialect import TraceSocket, told_once

logger = structlog.get_logger(__name__)


class WatchingConsumer(TraceSocket):
    """A socket of `/ws/traces/`, and the `Screen` of its viewer."""

    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        super().open(scope, receive, send, host)
        self._viewer: Viewer | None = None

    def refusal(self, scope: Scope) -> Refusal | None:
        try:
            Selection.in_query(query_of(scope), None)
        except Unusable as error:
            return Refusal(CloseCode.PROTOCOL_ABUSE, "invalid_event", detail=str(error))
        return super().refusal(scope)

    # Its life.

    def greet(self, cursor: int | None = None) -> None:
        """With a cursor, once the viewer has a place in the log."""
        if cursor is not None:
            data = {"status": "connected", "session_id": None}
            self.say_now(self.frame_now("connection", "connection_established", data))

    async def _talk(self) -> None:
        watching = asyncio.get_running_loop().create_task(self._watch())
        watching.add_done_callback(self._on_watched)
        try:
            await super()._talk()
        finally:
            await background.end([watching])

    async def _watch(self) -> None:
        selection = Selection.in_query(query_of(self.scope), self.service)
        self._viewer = viewer = Viewer(selection, self, self.host.database)
        tail = tail_of(self.host)
        async with tail.watched_by(viewer), asyncio.TaskGroup() as tasks:
            tasks.create_task(viewer.run(tail))
            tasks.create_task(tail.until_failed())

    def _on_watched(self, task: asyncio.Task[None]) -> None:
        if (error := background.failure_of(task)) is None:
            return
        if isinstance(error, ExceptionGroup) and error.subgroup(TooFarBehind):
            self.close_slow()
        else:
            logger.error("traces_not_watched", exc_info=error)
            self.close(CloseCode.GOING_AWAY, Problem(self.lang, "internal_error"))

    # What its viewer is shown.

    def has_room(self) -> bool:
        return self.outbox.has_room()

    def show(self, watched: Watched, message: Message, cursor: int) -> None:
        self.outbox.add_frame(watched.frame(message, self.lang, cursor))

    def say_behind(self) -> None:
        self._say_state("behind")

    # What the server says.

    def keep_warm(self) -> None:
        self._say_state("watching")

    def _say_state(self, state: str) -> None:
        self.say_status(told_once(state), state, say(self.lang, state))

    @property
    def cursor(self) -> str | None:
        return None if self._viewer is None else str(self._viewer.cursor)

    # What the client says.

    async def take(self, text: str) -> None:
        """There is nothing to ask for."""
        action = read_object(text).get("action")
        if isinstance(action, str):
            raise ProtocolError("unknown_event", action[:100])
        raise ProtocolError("invalid_event", "action")

    # It has no session.

    def push(self, logged: Logged) -> bool:
        raise NotImplementedError("it has no session")

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        raise NotImplementedError("it has no session")

    @staticmethod
    def render_text(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
        raise NotImplementedError("it has no session")
