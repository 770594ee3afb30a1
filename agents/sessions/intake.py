"""A session's messages on their way in: each runs once, and is echoed once it is in the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.log import kinds, reading
from agents.log.entry import RunRef
from agents.log.journal import Outcome
from agents.log.session_log import SessionLog
from agents.log.writes import DuplicateMessage, OwnershipLost
from agents.ports import Asker, PassOn, Refused
from agents.runtime import logs
from agents.runtime.explaining import explain
from agents.runtime.ids import new_id
from agents.sessions.inbox import Inbox
from agents.sessions.queue import Queued, Runs
from agents.sessions.quota import Quota
from agents.sessions.refusals import code_of
from agents.sessions.resources import Resources
from agents.transients import Problem, Repeated
from myagent.protocol import ErrorCode, UserMessage
from myagent.span_ids import TraceParent
from myagent.tool.text import excerpt

logger = structlog.get_logger(__name__)

LONGEST_LOGGED = 200
"""Characters of a message that are logged in debug mode."""


class CheckOpen(Protocol):
    def __call__(self, message_id: str | None = None) -> None:
        """Raises `Refused` unless a message may come in now."""


class Intake:
    """Its methods belong to the event loop."""

    def __init__(
        self,
        log: SessionLog,
        inbox: Inbox,
        runs: Runs,
        check_open: CheckOpen,
        quota: Quota,
        resources: Resources,
        pass_on: PassOn,
    ) -> None:
        self._log = log
        self._inbox = inbox
        self._runs = runs
        self._check_open = check_open
        self._quota = quota
        self._pass_on = pass_on
        self._database = resources.database
        self._background = resources.background

    async def accept(self, socket: Asker, event: UserMessage) -> None:
        """Accepts a message: its echo, sent once it is durable, is the acknowledgement."""
        message_id = event.metadata.message_id
        if message_id is not None and await self._is_repeated(socket, message_id, event):
            return
        self._check_room(event)
        if self._quota.is_limited(socket):
            with _about(message_id):
                elsewhere = await self._quota.take(socket)
            # During the await it may have arrived on another socket, or room may have gone.
            if message_id is not None and await self._is_repeated(socket, message_id, event):
                return
            self._check_room(event)
            with _about(message_id):
                self._quota.check(socket, elsewhere)
        run_id = new_id()
        parent = TraceParent.parse(event.metadata.traceparent)
        ref = RunRef(run_id, message_id or run_id, "" if parent is None else str(parent))
        self._take_in(socket, ref, event)

    def _check_room(self, event: UserMessage) -> None:
        """Raises `Refused` unless the session takes the message now."""
        message_id = event.metadata.message_id
        self._check_open(message_id)
        is_busy = self._runs.current is not None and event.metadata.on_busy == "reject"
        if is_busy or len(self._runs.waiting) >= settings.MYAGENT_QUEUE_LENGTH:
            raise Refused("busy", message_id=message_id)

    async def _is_repeated(self, socket: Asker, message_id: str, event: UserMessage) -> bool:
        """Answers a message that was accepted before, or waits for one that is being written."""
        # The journal would recognise it in any case; here it is recognised before it has effects.
        does_harm = self._runs.current is not None and event.metadata.on_busy != "enqueue"
        # Even a session that has ended answers a repeated message.
        thoroughly = does_harm or self._log.is_closed
        seq = await self._inbox.find(message_id, thoroughly=thoroughly)
        # After the await: it may have arrived on another socket meanwhile.
        if self._inbox.join(message_id, socket):
            return True
        if seq is None:
            return False
        await self._echo_again(socket, seq)
        return True

    async def _echo_again(self, socket: Asker, seq: int) -> None:
        logged = await self._database.run(reading.entry_at, self._log.session_id, seq)
        if logged is not None:
            socket.tell(Repeated(logged))

    def _take_in(self, socket: Asker, ref: RunRef, event: UserMessage) -> None:
        before, is_ahead = self._runs.current, event.metadata.on_busy == "interrupt"
        position = 0 if before is None else 1 if is_ahead else len(self._runs.waiting) + 1
        entry = kinds.user_message(event.content, ref, position)
        assert entry.message is not None
        queued = Queued(ref, entry.message)
        new_run, started = self._runs.add(queued, is_ahead=is_ahead)
        if started is not None:
            self._quota.enter(socket.counted_as)
        self._inbox.expect(ref.message_id)

        def done(outcome: Outcome) -> None:
            self._on_accepted(outcome, socket, queued, event)
            self._runs.start_if_logged(started, outcome)

        self._log.write([entry], done, new_run=new_run, answers=socket.inbox_row)
        if is_ahead and before is not None:
            before.cancel()

    def _on_accepted(
        self, outcome: Outcome, socket: Asker, queued: Queued, event: UserMessage
    ) -> None:
        ref = queued.ref
        if isinstance(outcome, Exception):
            waiting = self._inbox.settle(ref.message_id, None)
            self._withdraw(outcome, [socket, *waiting], queued, event)
            return
        logged = outcome[0]
        if logs.is_debug():
            logger.debug(
                "message_accepted",
                session_id=self._log.session_id,
                run_id=ref.run_id,
                message_id=ref.message_id,
                seq=logged.seq,
                text=excerpt(queued.message.content, LONGEST_LOGGED),
            )
        for other in self._inbox.settle(ref.message_id, logged.seq):
            other.tell(Repeated(logged))

    def _withdraw(
        self, error: Exception, sockets: Sequence[Asker], queued: Queued, event: UserMessage
    ) -> None:
        """A message could not be accepted after all."""
        self._runs.withdraw(queued)
        if self._runs.is_at_rest:
            self._quota.leave()
        message_id = queued.ref.message_id
        if isinstance(error, DuplicateMessage):
            self._inbox.remember(message_id, error.seq)
        for socket in sockets:
            if isinstance(error, DuplicateMessage):
                self._background.start(self._answer_again(socket, message_id, error.seq))
            elif isinstance(error, OwnershipLost):
                self._pass_on(socket, named(event, message_id))
            else:
                self._explain(socket, code_of(error), message_id)

    async def _answer_again(self, socket: Asker, message_id: str, seq: int) -> None:
        try:
            await self._echo_again(socket, seq)
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            self._explain(socket, "storage_unavailable", message_id)

    def _explain(self, socket: Asker, code: ErrorCode, message_id: str) -> None:
        """Says that a message was not accepted."""
        session_id = self._log.session_id
        socket.tell(Problem(socket.lang, code, session_id=session_id, message_id=message_id))


@contextmanager
def _about(message_id: str | None) -> Iterator[None]:
    """Names the message in what is refused."""
    try:
        yield
    except Refused as error:
        error.message_id = message_id
        raise


def named(event: UserMessage, message_id: str) -> UserMessage:
    """The message under an id that recognises it when it is sent again."""
    metadata = event.metadata.model_copy(update={"message_id": message_id})
    return event.model_copy(update={"metadata": metadata})
