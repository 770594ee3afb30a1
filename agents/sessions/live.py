"""A live session of this process: its clients' requests, and its life cycle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from agents.log import kinds, reading
from agents.log.entry import Entry
from agents.log.journal import JournalStopped, Outcome
from agents.log.session_log import SessionLog
from agents.log.writes import Facts, NewSession, OwnershipLost, RunEnded
from agents.ownership.taking import Taken
from agents.ports import Asker, PassOn, Refused, SessionEvent, Socket
from agents.runs.execution import Execution
from agents.sessions.audience import Audience
from agents.sessions.inbox import Inbox
from agents.sessions.intake import Intake
from agents.sessions.queue import Runs
from agents.sessions.quota import Quota
from agents.sessions.refusals import code_of
from agents.sessions.resources import Resources
from agents.sessions.responses import Responses
from agents.sessions.subscription import Subscription
from agents.transients import Notice, Problem
from myagent.protocol import Cancel, CloseSession, Response, UserMessage


class LiveSession:
    """Its methods belong to the event loop; those that answer a client raise `Refused`.

    `on_lost` is called when another server owns the session, `on_unborn` when
    a new one could not be created; `pass_on`, with each request that the loss refused.
    """

    def __init__(
        self,
        resources: Resources,
        taken: Taken,
        opened: reading.Opened,
        *,
        on_lost: Callable[[LiveSession], None],
        on_unborn: Callable[[LiveSession], None],
        pass_on: PassOn,
    ) -> None:
        self.session_id = taken.session_id
        self.service = taken.service
        self.epoch = taken.epoch
        self.lang = taken.lang
        self.principal = taken.principal
        self.idle_since = asyncio.get_running_loop().time()
        self._resources = resources
        self._on_unborn = on_unborn
        self._pass_on = pass_on
        self._closer: tuple[Asker, CloseSession] | None = None
        """Who asked to close the session, until that is in the log."""
        self._pool = resources.workers.of(taken.service)
        self._closing: str | None = None
        self._is_lost = False
        self._log = SessionLog(
            taken.session_id,
            taken.epoch,
            taken.lang,
            taken.last_seq,
            opened.history,
            resources.journal,
            facts=self._facts,
        )
        count = partial(resources.count_clients, taken.service)
        self.audience = Audience(self._log, resources.database, resources.relay, count=count)
        self._log.on_logged = self.audience.show
        self._log.on_lost = lambda: on_lost(self)
        self._log.on_settled = resources.progress.set
        self._log.is_closed = taken.is_closed
        self._runs = Runs(
            self._log,
            self.audience,
            self._pool,
            opened.last_ordinal,
            is_draining=lambda: resources.is_draining,
            on_end=self._on_run_ended,
        )
        self._quota = Quota(
            taken.session_id, taken.service, taken.principal, resources, self._is_at_work
        )
        self._intake = Intake(
            self._log,
            Inbox(
                taken.session_id,
                resources.database,
                opened.message_ids,
                knows_all=opened.knows_all_messages,
            ),
            self._runs,
            self._check_open,
            self._quota,
            resources,
            pass_on,
        )
        self._responses = Responses(self._log, self._runs, resources.database, pass_on)

    def prefer_worker_for(self, affinity: str) -> None:
        """The session's first run goes to the worker that this key chooses; '' leaves it open."""
        self._runs.affinity = affinity

    # Sockets.

    def subscribe(self, socket: Socket, seq: int | None = None) -> Subscription:
        """Attaches at `seq`, or at the log's end; replaces the socket's earlier subscription."""
        return self.audience.add(socket, self._log.last_seq if seq is None else seq)

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
    def last_seq(self) -> int:
        """The newest entry that is committed."""
        return self._log.last_seq

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
        """Whether nothing runs, waits or is being written, and no socket is attached."""
        is_at_work = self.current or self._runs.waiting or self._log.is_being_written
        return not (is_at_work or self.audience)

    @property
    def tokens(self) -> int:
        """The size of its history, estimated."""
        return self._log.history.tokens

    # What clients ask for.

    def begin(self, socket: Socket, new: NewSession, entry: Entry) -> None:
        """Writes the session's first entry."""

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Exception):
                self._on_unborn(self)
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
            case CloseSession():
                self._close_for(asker, event)

    def cancel(self, socket: Asker, event: Cancel) -> None:
        """Stops the run that the event names; a queued one leaves the queue."""
        current, waiting = self._runs.meant_by(event)
        if current is None and not waiting:
            self._say_not_running(socket, event)
            return
        self._check_storage()
        ref = current.ref if current else waiting[0].ref
        self._runs.end_waiting(
            waiting,
            [kinds.user_cancel(ref.run_id)],
            answers=socket.inbox_row,
            on_refused=partial(self._on_cancel_refused, socket, event, ref.run_id),
        )
        if current is not None:
            current.cancel()

    def _say_not_running(self, socket: Asker, event: Cancel) -> None:
        run_id = event.metadata.run_id
        socket.tell(Notice(self.lang, "not_running", self.session_id, run_id))

    def _on_cancel_refused(
        self, socket: Asker, event: Cancel, run_id: str, error: Exception
    ) -> None:
        match error:
            case OwnershipLost():
                self._pass_on(socket, aimed(event, run_id))
            case RunEnded():
                self._say_not_running(socket, event)
            case JournalStopped():
                """The log tells the next owner, and the client, what became of it."""
            case _:
                socket.tell(Problem(socket.lang, code_of(error), session_id=self.session_id))

    async def respond(self, socket: Asker, event: Response) -> None:
        """Answers a question of the current run."""
        self._check_storage()
        await self._responses.take(socket, event)

    def _close_for(self, asker: Asker, event: CloseSession) -> None:
        if self._closing and asker.inbox_row is not None:
            raise Refused("session_closed")
        if not self._closing and not self._log.is_closed:
            self._check_storage()
            self._closer = asker, event
        self.close("closed")

    def close(self, reason: str) -> None:
        """Ends every run as interrupted, then the session."""
        if self._log.is_closed:
            raise Refused("session_closed")
        if self._closing:
            return
        self._check_storage()
        self._closing = reason
        is_at_rest = self.current is None
        self.end_runs()
        if is_at_rest:
            self._finish_closing()

    # Its life cycle.

    def resume(self, unfinished: Sequence[reading.UnfinishedRun]) -> None:
        """Continues what is unfinished in the log."""
        self._quota.enter()
        self._runs.resume(unfinished)

    def leave(self) -> None:
        """Stops working on the session; the log has what another owner needs."""
        self._is_lost = True
        if self._closer is not None:
            # Nothing in the log tells the next owner.
            closer, self._closer = self._closer, None
            self._pass_on(*closer)
        if self.current is not None:
            self.current.leave()
        self._quota.leave()
        for link in self._pool:
            link.forget(self.session_id, self.epoch)
        self.audience.clear()

    # Internals.

    def _is_at_work(self) -> bool:
        """Whether something of it runs or waits here."""
        return not (self._is_lost or self._runs.is_at_rest)

    def _check_open(self, message_id: str | None = None) -> None:
        """Raises `Refused` unless a message may come in now."""
        if self._log.is_closed or self._closing:
            raise Refused("session_closed", message_id=message_id)
        if self._resources.is_draining or not self._resources.may_wait(self.service):
            raise Refused("service_unavailable", message_id=message_id)
        self._check_storage(message_id)

    def _facts(self) -> Facts:
        run = None if self.current is None else self.current.facts()
        return Facts(self.service, self.principal, self._pool.agent, run)

    def _on_run_ended(self, execution: Execution) -> None:
        self._resources.gauges_of(self.service).note_turn(execution.age_ms)
        self.idle_since = asyncio.get_running_loop().time()
        if self._runs.is_at_rest:
            self._quota.leave()
        if self._closing:
            self._finish_closing()

    def _check_storage(self, message_id: str | None = None) -> None:
        if self._is_lost:
            raise Refused("moved", message_id=message_id)
        if not self._log.is_available:
            raise Refused("storage_unavailable", message_id=message_id)

    def _finish_closing(self) -> None:
        assert self._closing is not None
        closer, self._closer = self._closer, None

        def done(outcome: Outcome) -> None:
            if closer is None or isinstance(outcome, list):
                return
            if isinstance(outcome, OwnershipLost):
                self._pass_on(*closer)
            else:
                code = code_of(outcome)
                closer[0].tell(Problem(closer[0].lang, code, session_id=self.session_id))

        self._log.write(
            [kinds.session_end(self.lang, self._closing)],
            done,
            close_reason=self._closing,
            answers=None if closer is None else closer[0].inbox_row,
        )


def aimed(event: Cancel, run_id: str) -> Cancel:
    """The cancel with the run that it is about."""
    metadata = event.metadata.model_copy(update={"run_id": run_id})
    return event.model_copy(update={"metadata": metadata})
