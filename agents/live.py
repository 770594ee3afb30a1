"""A session alive in this process: its queue, its current run, its sockets.

Its state moves when a write is handed to the journal, not when the write is
done: the journal keeps the order, so what was handed over first is true first.
Only what people see waits for the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from agents import entries, reading
from agents.audience import Audience
from agents.background import Background
from agents.database import DatabaseThreads
from agents.entries import Entry, Logged
from agents.execution import Ending, Execution
from agents.gauges import Gauges
from agents.inbox import Inbox
from agents.intake import Intake
from agents.journal import Journal, Outcome, RowRefused
from agents.link import Link
from agents.ownership import Taken
from agents.ports import Refused, Socket
from agents.refusals import code_of
from agents.responses import Responses
from agents.runs import Runs
from agents.subscription import Subscription
from agents.transients import Notice, Problem
from agents.workers import Workers
from agents.writes import (
    NewSession,
    OwnershipLost,
    Write,
)
from myagent.protocol import Cancel, Response, UserMessage
from myagent.worker.protocol import RunKey


class Keeper(Protocol):
    """What a live session needs of the hub that keeps it."""

    journal: Journal
    database: DatabaseThreads
    workers: Workers
    background: Background
    is_draining: bool
    progress: asyncio.Event
    """Set whenever a session has moved on."""

    def may_wait(self, service: str) -> bool:
        """Whether the service has a worker, or is about to get one."""

    def gauges_of(self, service: str) -> Gauges:
        """Where its turns are noted."""

    def lost(self, session: LiveSession) -> None:
        """Another process owns the session now."""

    def forget(self, session: LiveSession) -> None:
        """The session could not be created."""


class LiveSession:
    """Its methods belong to the main loop; those that answer a client raise `Refused`."""

    def __init__(self, keeper: Keeper, taken: Taken, opened: reading.Opened) -> None:
        self.session_id = taken.session_id
        self.service = taken.service
        self.lang = taken.lang
        self.principal = taken.principal
        self.last_seq = taken.last_seq
        self.history = opened.history
        self.is_closed = taken.is_closed
        self.idle_since = asyncio.get_running_loop().time()
        self.epoch = taken.epoch
        self._keeper = keeper
        self.pool = keeper.workers.of(taken.service)
        self.worker: Link | None = None
        self._attempts = 0
        self._runs = Runs(self, self._write, opened.last_ordinal)
        self._intake = Intake(
            self,
            Inbox(
                taken.session_id,
                keeper.database,
                opened.message_ids,
                knows_all=opened.knows_all_messages,
            ),
            self._runs,
            self._write,
            database=keeper.database,
            background=keeper.background,
        )
        self._responses = Responses(taken.session_id, self._runs, self.log, keeper.database)
        self._closing: str | None = None
        self.audience = Audience(self, keeper.database)
        self._is_lost = False
        self._writing = 0

    # Sockets.

    def subscribe(self, socket: Socket, seq: int | None = None) -> Subscription:
        """Attaches at `seq`, or at the log's end; replaces what the socket had."""
        return self.audience.add(socket, self.last_seq if seq is None else seq)

    def end_runs(self) -> None:
        """Ends everything that runs or waits, as interrupted."""
        if self._runs.waiting:
            self._runs.end_waiting(self._runs.waiting)
        if self.current is not None:
            self.current.cancel()

    def unsubscribe(self, socket: Socket) -> None:
        self.audience.remove(socket)
        self.idle_since = asyncio.get_running_loop().time()

    @property
    def current(self) -> Execution | None:
        """The run that is under way."""
        return self._runs.current

    @property
    def status(self) -> str:
        """`idle`, `running`, or `waiting` for somebody's confirmation."""
        if self.current is None:
            return "idle"
        return "waiting" if self.current.is_waiting else "running"

    @property
    def is_idle(self) -> bool:
        """Nothing runs, waits or is being written, and no socket is attached."""
        return not (self.current or self._runs.waiting or self._writing or self.audience)

    # What clients ask for.

    def begin(self, socket: Socket, new: NewSession, entry: Entry) -> None:
        """Writes the session's first entry."""

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Exception):
                self._keeper.forget(self)
                socket.tell(Problem(socket.lang, code_of(outcome)))

        self._write([entry], done, new_session=new)

    async def accept(self, socket: Socket, event: UserMessage) -> None:
        """Takes a message in: the echo, once it is durable, is the acknowledgement."""
        await self._intake.accept(socket, event)

    def cancel(self, socket: Socket, event: Cancel) -> None:
        """Stops the run that the event names; a queued one leaves the queue."""
        current, waiting = self._runs.meant_by(event)
        if current is None and not waiting:
            run_id = event.metadata.run_id
            socket.tell(Notice(self.lang, "not_running", self.session_id, run_id))
            return
        self._check_storage()
        ref = current.ref if current else waiting[0].ref
        self._runs.end_waiting(waiting, [entries.user_cancel(ref.run_id)])
        if current is not None:
            current.cancel()

    async def respond(self, socket: Socket, event: Response) -> None:
        """Answers a question of the current run."""
        self._check_storage()
        await self._responses.take(socket, event)

    def close(self, reason: str) -> None:
        """Ends every run as interrupted, then the session."""
        if self.is_closed:
            raise Refused("session_closed")
        if self._closing:
            return
        self._check_storage()
        self._closing = reason
        is_at_rest = self.current is None
        self.end_runs()
        if is_at_rest:
            self._finish_closing()

    # What runs ask for: see `execution.Owner`.

    def next_key(self) -> RunKey:
        self._attempts += 1
        return RunKey(self.session_id, self.epoch, self._attempts)

    def log(self, written: Sequence[Entry], done: Callable[[Outcome], None]) -> None:
        for entry in written:
            if entry.message is not None and entry.run_id is not None:
                self.history.add(entry.run_id, entry.message)

        def finished(outcome: Outcome) -> None:
            if isinstance(outcome, RowRefused):
                self.history.take_back(entry.message for entry in written if entry.message)
            done(outcome)

        self._write(written, finished)

    def end_run(self, execution: Execution, before: Sequence[Entry], ending: Ending) -> None:
        self._runs.end_current(execution, before, ending, is_draining=self._keeper.is_draining)
        self._keeper.gauges_of(self.service).note_turn(execution.age_ms)
        self.idle_since = asyncio.get_running_loop().time()
        if self._closing:
            self._finish_closing()

    def show_thinking(self, step: int) -> None:
        self.audience.show_thinking(step)

    def show_text(self, execution: Execution, offset: int, text: str) -> None:
        self.audience.show_text(execution.ref.run_id, execution.step, offset, text)

    def show_notice(self, code: str) -> None:
        self.audience.show_notice(code)

    # What the intake asks for: see `intake.Session`.

    def check_open(self, message_id: str | None = None) -> None:
        if self.is_closed or self._closing:
            raise Refused("session_closed", message_id=message_id)
        if self._keeper.is_draining or not self._keeper.may_wait(self.service):
            raise Refused("service_unavailable", message_id=message_id)
        self._check_storage(message_id)

    # Life with the hub.

    def resume(self, unfinished: Sequence[reading.UnfinishedRun]) -> None:
        """Goes on with what the log left unfinished."""
        self._runs.resume(unfinished)

    def leave(self) -> None:
        """Stops working on the session; the log keeps what another owner needs."""
        self._is_lost = True
        if self.current is not None:
            self.current.leave()
        for link in self.pool:
            link.forget(self.session_id, self.epoch)
        self.audience.clear()

    # Inside.

    def _check_storage(self, message_id: str | None = None) -> None:
        if self._is_lost:
            raise Refused("moved", message_id=message_id)
        if not self._keeper.journal.is_available:
            raise Refused("storage_unavailable", message_id=message_id)

    def _finish_closing(self) -> None:
        assert self._closing is not None
        self.is_closed = True
        self._write(
            [entries.session_end(self.lang, self._closing)],
            lambda outcome: None,
            close_reason=self._closing,
        )

    def _write(
        self, written: Sequence[Entry], done: Callable[[Outcome], None], **changes: Any
    ) -> None:
        write = Write(self.session_id, self.epoch, written, **changes)

        def finished(outcome: Outcome) -> None:
            self._writing -= 1
            if isinstance(outcome, OwnershipLost):
                self._keeper.lost(self)
            elif isinstance(outcome, list):
                self._publish(outcome)
            done(outcome)
            self._keeper.progress.set()

        self._writing += 1
        self._keeper.journal.append(write, finished)

    def _publish(self, logged: Sequence[Logged]) -> None:
        if logged:
            self.last_seq = logged[-1].seq
            self.audience.show(logged)
