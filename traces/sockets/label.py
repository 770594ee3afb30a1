"""A client that starts an agent under a label of its own, and watches the traces of its runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from django.db import Error as DatabaseFailure

from agents.log.entry import Logged
from agents.ports import Refused
from agents.runtime.explaining import explain
from agents.sentences import say
from agents.sockets.handshake import Host, Receive, Refusal, Scope, Send
from agents.sockets.single import LANE, SingleConversation
from agents.transients import Problem, Transient
from myagent import span_ids
from myagent.protocol import CloseCode, CloseSession, ErrorCode
from myagent.protocol.trace import MAX_LABEL, StartAgent, Stop, parse
from traces.live.messages import Message
from traces.sockets import labels
from traces.sockets.dialect import TraceSocket
from traces.sockets.telling import Telling

T = TypeVar("T")

logger = structlog.get_logger(__name__)

NOT_TOLD = frozenset({"span_started", "feedback"})
"""Messages that are for the viewers of all traces alone."""

SENT_AWAY_WITH: dict[ErrorCode, int] = {
    "storage_unavailable": CloseCode.NO_SERVICE_AVAILABLE,
    "forbidden": CloseCode.ORIGIN_NOT_ALLOWED,
}
"""The close code, by why a label's conversation can't be joined; `GOING_AWAY` in other cases."""


class LabelConsumer(TraceSocket, SingleConversation):
    """A socket of the trace dialect. The log's entries say when its traces have changed."""

    def open(self, scope: Scope, receive: Receive, send: Send, host: Host) -> None:
        super().open(scope, receive, send, host)
        self._label = _label_in(scope)
        self._has_come = False
        self._unreachable: str | None = None
        self._telling = Telling(host.database, self._tell_message)

    # Sending to the client.

    @staticmethod
    def render_text(session_id: str, run_id: str, step: int, offset: int, text: str) -> str:
        raise NotImplementedError("the dialect has no text")

    @property
    def session_name(self) -> str:
        return self._label

    def greet(self) -> None:
        """Waits until the label's conversation is joined."""

    def _say_connected(self) -> None:
        data = {"status": "connected", "session_id": self._label}
        self.say_now(self.frame_now("connection", "connection_established", data))

    def keep_warm(self) -> None:
        """WebSocket pings do; the dialect has no word for it."""

    def push(self, logged: Logged) -> bool:
        if not self.outbox.has_room():
            return False
        self.note_entry(logged)
        if logged.event == "user.message":
            self._note_message(logged)
        elif logged.event == "agent.session_end" and logged.session_id == self.session_id:
            # The next question begins another one.
            self.session_id, self.is_attached = None, False
        self._telling.look_again()
        return True

    def push_text(self, session_id: str, run_id: str, step: int, offset: int, text: str) -> bool:
        return True

    def tell(self, transient: Transient) -> None:
        if isinstance(transient, Problem):
            self.note_problem()
        super().tell(transient)

    def answer(self, problem: Problem) -> None:
        self.say_now(self.render_problem(problem))

    def _note_message(self, logged: Logged) -> None:
        metadata = logged.data["metadata"]
        self._telling.add(metadata["run_id"])
        if metadata["position"]:
            message_id = f"status_queued_{span_ids.run_span_id(metadata['run_id'])}"
            self.say_status(message_id, "queued", say(self.lang, "queued"))

    async def _tell_message(self, message: Message) -> None:
        if message.event_type in NOT_TOLD:
            return
        while not self.outbox.has_room():
            await self.outbox.room()
        self.outbox.add_frame(message.render(self._label, self.lang, shows_content=True))

    # Requests of the client.

    def refusal(self, scope: Scope) -> Refusal | None:
        if len(_label_in(scope)) > MAX_LABEL:
            return Refusal(CloseCode.PROTOCOL_ABUSE, "invalid_event", detail="session_label")
        return super().refusal(scope)

    async def _talk(self) -> None:
        async with self._telling.going_on(on_failed=self._give_up):
            await super()._talk()

    def _give_up(self) -> None:
        self.close(CloseCode.GOING_AWAY, Problem(self.lang, "internal_error"))

    async def read(self) -> None:
        if not self._has_come:
            self._has_come = True
            await self.lanes.take(LANE, 0, self._join_or_leave)
        await super().read()

    async def take(self, text: str) -> None:
        said = parse(text)

        async def work() -> None:
            await self._answer(said)

        if not await self.carry_out(LANE, text, work):
            self.say_refused("rate_limited")

    async def _answer(self, said: StartAgent | Stop) -> None:
        # It may have begun at another socket of the same client.
        if self.session_id is None and not await self.attempt(self._join(), None):
            return
        if isinstance(said, Stop):
            await self.stop()
        else:
            await self.ask(said.question)

    # The conversation behind the label.

    def facts_of_client(self) -> dict[str, Any]:
        return {"session_label": self._label}

    async def find_place(self, session_id: str) -> None:
        """From the first run that has not ended: its trace is told from its start."""
        place = await self.port.place_after(session_id, None)
        await self.port.attach(self, session_id, place.last_seq)

    async def create(self) -> None:
        await super().create()
        if self.is_attached and self.session_id is not None:
            await self.attempt(self._claim(self.session_id), self.session_id)

    @property
    def _place(self) -> str:
        return labels.place_of(self.principal, self.service or self.host.service, self._label)

    async def _join_or_leave(self) -> None:
        """A client that can't be told what runs is told why, and sent away."""
        try:
            await self._join()
        except Refused as error:
            self.say_refused(error.code, **error.words)
            self.close(SENT_AWAY_WITH.get(error.code, CloseCode.GOING_AWAY), None)
        except Exception:
            logger.exception("label_not_joined")
            self._give_up()
        else:
            self._say_connected()

    async def _join(self) -> None:
        """Continues the label's conversation, if there is one. Raises `Refused`."""
        found = await self._ask_database(labels.find, self._place)
        if found is None:
            return
        if not await self.port.knows(found.service):
            # It was removed: the next question begins another conversation.
            self._unreachable = found.session_id
            return
        self.session_id = found.session_id
        try:
            await self.find_place(found.session_id)
        except Refused:
            self.session_id = None
            raise
        self.is_attached = True

    async def _claim(self, created: str) -> None:
        """Of two sockets that begin at once, one has begun in vain."""
        holder = await self._ask_database(labels.claim, self._place, created, self._unreachable)
        if holder == created:
            return
        self.session_id, self.is_attached = holder, False
        await self.port.send(self, CloseSession(event="user.close_session", session_id=created))
        self.port.detach(self, created)
        await self.attach(holder)

    async def _ask_database(self, work: Callable[..., T], *values: str | None) -> T:
        try:
            return await self.host.database.run(work, *values)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            raise Refused("storage_unavailable", sentence="storage_away") from error


def _label_in(scope: Scope) -> str:
    return str(scope["url_route"]["kwargs"]["label"])
