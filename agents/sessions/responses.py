"""People's responses to what a run asks them: each question is answered once."""

from __future__ import annotations

from agents.log import kinds, reading
from agents.log.entry import Entry
from agents.log.fold import CallState
from agents.log.journal import Outcome, RowRefused
from agents.log.session_log import SessionLog
from agents.log.writes import OwnershipLost, RunEnded
from agents.ports import Asker, PassOn, Refused
from agents.runs.execution import Execution
from agents.runtime.database import DatabaseThreads
from agents.sessions.queue import Runs
from agents.sessions.refusals import code_of
from agents.transients import Problem, Repeated
from myagent.protocol import Response
from myagent.steps import Decision


class Responses:
    """Its methods belong to the event loop."""

    def __init__(
        self, log: SessionLog, runs: Runs, database: DatabaseThreads, pass_on: PassOn
    ) -> None:
        self._log = log
        self._runs = runs
        self._database = database
        self._pass_on = pass_on
        self._on_their_way: dict[str, list[tuple[Asker, Response]]] = {}
        """By question: the askers that sent another response while the first is being written."""

    async def take(self, socket: Asker, event: Response) -> None:
        """Answers a question of the current run. Raises `Refused`."""
        if event.step_id in self._on_their_way:
            self._on_their_way[event.step_id].append((socket, event))
            return
        current = self._runs.current
        call = current.state.calls.get(event.step_id) if current else None
        if current is None or call is None or not call.is_waiting or current.is_stopping:
            await self._echo_again(socket, event)
            return
        if self._is_refused(socket, event, call):
            return
        entry = kinds.user_response(
            event.content.model_dump(exclude_none=True), event.step_id, current.ref
        )
        current.on_response(entry)
        assert call.decision is not None
        self._write(socket, event, current, entry, call.decision)

    def _is_refused(self, socket: Asker, event: Response, call: CallState) -> bool:
        """Whether an approval has arguments that the tool can't take: the question stays open."""
        args = event.content.args
        if not event.content.approved or args is None:
            return False
        # Imported here, because it takes 0.1 s, which would delay the start.
        from agents.sessions import arguments

        fault = arguments.unfit(args, call.parameters, socket.lang)
        if fault:
            socket.tell(
                Problem(
                    socket.lang,
                    "invalid_event",
                    "unfit_arguments",
                    fault,
                    session_id=self._log.session_id,
                    step_id=event.step_id,
                )
            )
        return bool(fault)

    def _write(
        self,
        socket: Asker,
        event: Response,
        current: Execution,
        entry: Entry,
        decision: Decision,
    ) -> None:
        self._on_their_way[entry.step_id] = []

        def decided(outcome: Outcome) -> None:
            joined = self._on_their_way.pop(entry.step_id)
            if isinstance(outcome, list):
                for other, _ in joined:
                    other.tell(Repeated(outcome[0]))
                current.decide(entry.step_id, decision)
                return
            if isinstance(outcome, RowRefused):
                current.on_response_refused(entry.step_id)
            for other, its_event in ((socket, event), *joined):
                self._explain(other, its_event, outcome)

        self._log.write_steps([entry], decided, answers=socket.inbox_row)

    def _explain(self, socket: Asker, event: Response, error: Exception) -> None:
        """Tells the asker that a response was not accepted, or asks the session's next owner."""
        if isinstance(error, OwnershipLost):
            self._pass_on(socket, event)
            return
        code = "not_waiting" if isinstance(error, RunEnded) else code_of(error)
        socket.tell(Problem(socket.lang, code, session_id=self._log.session_id))

    async def _echo_again(self, socket: Asker, event: Response) -> None:
        logged = await self._database.run(reading.response_to, self._log.session_id, event.step_id)
        if logged is None:
            raise Refused("not_waiting")
        socket.tell(Repeated(logged))
