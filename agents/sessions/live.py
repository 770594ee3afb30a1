"""A live session of this process: its clients' requests, and its life cycle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from agents.log import reading
from agents.log.entry import Entry
from agents.log.journal import Outcome
from agents.log.session_log import SessionLog
from agents.log.writes import Facts, NewSession
from agents.ownership.taking import Taken
from agents.ports import Asker, Refused, SessionEvent, Socket
from agents.runs.execution import Execution
from agents.sessions.audience import Audience
from agents.sessions.cancels import Cancels
from agents.sessions.closing import Closing
from agents.sessions.feedback import Ratings
from agents.sessions.inbox import Inbox
from agents.sessions.intake import Intake
from agents.sessions.queue import Runs
from agents.sessions.quota import Quota
from agents.sessions.refusals import code_of
from agents.sessions.resources import Resources
from agents.sessions.responses import Responses
from agents.sessions.subscription import Subscription
from agents.transients import Problem
from myagent.protocol import Cancel, CloseSession, Feedback, Response, UserMessage


class Keeper(Protocol):
    """Who keeps live sessions in memory."""

    def note(self, session: LiveSession) -> None:
        """The session may have become idle, or may be so no longer."""

    def lose(self, session: LiveSession) -> None:
        """Another server owns the session."""

    def drop_unborn(self, session: LiveSession) -> None:
        """A new session could not be created."""

    def pass_on(self, asker: Asker, event: SessionEvent) -> None:
        """The loss of the session refused this request."""


class LiveSession:
    """Its methods belong to the event loop; those that answer a client raise `Refused`."""

    def __init__(
        self, resources: Resources, taken: Taken, opened: reading.Opened, keeper: Keeper
    ) -> None:
        self.session_id, self.epoch = taken.session_id, taken.epoch
        self.service, self.lang, self.principal = taken.service, taken.lang, taken.principal
        self.idle_since = asyncio.get_running_loop().time()
        self._resources = resources
        self._keeper = keeper
        self._is_lost = False
        self._pool = resources.workers.of(taken.service)
        self._log = log = self._log_of(taken, opened)
        self.audience = Audience(
            log, resources.database, resources.relay, count=self._count_clients
        )
        log.on_logged = self.audience.show
        self._runs = runs = Runs(
            log,
            self.audience,
            self._pool,
            opened.last_ordinal,
            is_draining=lambda: resources.is_draining,
            on_end=self._on_run_ended,
        )
        self._quota = Quota(taken, resources, self._is_at_work)
        inbox = Inbox(taken.session_id, resources.database, opened)
        pass_on = keeper.pass_on
        self._intake = Intake(log, inbox, runs, self._check_open, self._quota, resources, pass_on)
        self._cancels = Cancels(log, runs, self._check_storage, pass_on)
        self._responses = Responses(log, runs, resources.database, pass_on)
        self._ratings = Ratings(log, resources.database, self._check_rateable, pass_on)
        self._closing = Closing(log, runs, self._check_storage, pass_on)

    def _log_of(self, taken: Taken, opened: reading.Opened) -> SessionLog:
        log = SessionLog(
            taken.session_id,
            taken.epoch,
            taken.lang,
            taken.last_seq,
            opened.history,
            self._resources.journal,
            facts=self._facts,
        )
        log.is_closed = taken.is_closed
        log.on_begun = self._note
        log.on_lost = lambda: self._keeper.lose(self)
        log.on_settled = self._on_settled
        return log

    def prefer_worker_for(self, affinity: str) -> None:
        """The session's first run goes to the worker that this key chooses; '' leaves it open."""
        self._runs.affinity = affinity

    # Sockets.

    def subscribe(self, socket: Socket, seq: int | None = None) -> Subscription:
        """Attaches at `seq`, or at the log's end; replaces the socket's earlier subscription."""
        return self.audience.add(socket, self._log.last_seq if seq is None else seq)

    def end_runs(self) -> None:
        """Ends everything that runs or waits, as interrupted."""
        self._runs.end_all()

    def unsubscribe(self, socket: Socket) -> None:
        self.audience.remove(socket)
        self.idle_since = asyncio.get_running_loop().time()

    @property
    def last_seq(self) -> int:
        """The newest entry that is committed."""
        return self._log.last_seq

    @property
    def current(self) -> Execution | None:
        """The run that is under way."""
        return self._runs.current

    @property
    def queued(self) -> int:
        """The number of messages that wait for their turn."""
        return len(self._runs.waiting)

    @property
    def status(self) -> str:
        """`idle`, `running`, or `waiting` for somebody's confirmation."""
        if self.current is None:
            return "idle"
        return "waiting" if self.current.is_waiting else "running"

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs, waits or is being written, and no socket is attached."""
        is_at_work = self.current or self._runs.waiting or self._log.is_being_written
        return not (is_at_work or self.audience)

    @property
    def has_ended(self) -> bool:
        """Whether it can only be read from now on."""
        return self._log.is_closed

    @property
    def tokens(self) -> int:
        """The size of its history, estimated."""
        return self._log.history.tokens

    # What clients ask for.

    def begin(self, socket: Socket, new: NewSession, entry: Entry) -> None:
        """Writes the session's first entry."""

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Exception):
                self._keeper.drop_unborn(self)
                socket.tell(Problem(socket.lang, code_of(outcome)))

        self._log.write([entry], done, new_session=new)

    async def take(self, asker: Asker, event: SessionEvent) -> None:
        """Does what a client's event asks for. A message's echo is its acknowledgement."""
        match event:
            case UserMessage():
                await self._intake.accept(asker, event)
            case Cancel():
                self.cancel(asker, event)
            case Response():
                await self.respond(asker, event)
            case Feedback():
                await self._ratings.take(asker, event)
            case CloseSession():
                self._closing.take(asker, event)

    def cancel(self, socket: Asker, event: Cancel) -> None:
        """Stops the run that the event names; a queued one leaves the queue."""
        self._cancels.take(socket, event)

    async def respond(self, socket: Asker, event: Response) -> None:
        """Answers a question of the current run."""
        self._check_storage()
        await self._responses.take(socket, event)

    def close(self, reason: str) -> None:
        """Ends every run as interrupted, then the session."""
        self._closing.begin(reason)

    # Its life cycle.

    def resume(self, unfinished: Sequence[reading.UnfinishedRun]) -> None:
        """Continues what is unfinished in the log."""
        self._quota.enter()
        self._runs.resume(unfinished)
        self._note()

    def leave(self) -> None:
        """Stops working on the session; the log has what another owner needs."""
        self._is_lost = True
        self._closing.leave()
        if self.current is not None:
            self.current.leave()
        self._quota.leave()
        for link in self._pool:
            link.forget(self.session_id, self.epoch)
        self.audience.clear()
        if self._runs.is_at_rest:
            # The session's parts refer to each other and wait for the garbage collector: by far the
            # most of its memory does not wait with them.
            self._log.history.clear()

    # Internals.

    def _is_at_work(self) -> bool:
        """Whether something of it runs or waits here."""
        return not (self._is_lost or self._runs.is_at_rest)

    def _check_open(self, message_id: str | None = None) -> None:
        """Raises `Refused` unless a message may come in now."""
        if self._closing.has_begun:
            raise Refused("session_closed", message_id=message_id)
        if self._resources.is_draining:
            raise Refused("service_unavailable", message_id=message_id)
        if not self._resources.may_wait(self.service):
            raise Refused("service_unavailable", message_id=message_id, sentence="no_worker")
        self._check_storage(message_id)

    def _check_rateable(self, message_id: str | None = None) -> None:
        """Raises `Refused` unless feedback may come in now."""
        if self._closing.has_begun:
            raise Refused("session_closed", message_id=message_id)
        self._check_storage(message_id)

    def _count_clients(self, change: int) -> None:
        self._resources.count_clients(self.service, change)
        self._note()

    def _note(self) -> None:
        """A run begins and ends with a write, so writes and clients decide whether it is idle."""
        self._keeper.note(self)

    def _on_settled(self) -> None:
        self._note()
        self._resources.progress.set()

    def _facts(self) -> Facts:
        run = None if self.current is None else self.current.facts()
        return Facts(self.service, self.principal, self._pool.agent, run)

    def _on_run_ended(self, execution: Execution) -> None:
        self._resources.gauges_of(self.service).note_turn(execution.age_ms)
        self.idle_since = asyncio.get_running_loop().time()
        if self._runs.is_at_rest:
            self._quota.leave()
        self._closing.on_run_ended()

    def _check_storage(self, message_id: str | None = None) -> None:
        if self._is_lost:
            raise Refused("moved", message_id=message_id)
        if not self._log.is_available:
            raise Refused("storage_unavailable", message_id=message_id)
