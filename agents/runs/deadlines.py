"""The timers of a run: its time-out, which pauses while people are asked, and the deadlines."""

from __future__ import annotations

from collections.abc import Callable

from agents.log.fold import CallState, RunState
from agents.runs.timers import RunTimers
from myagent.steps import Decision

UNANSWERED = Decision(False, feedback="Nobody answered in time.")


class Deadlines:
    """For the run with `state` and the questions that it asks people.

    `on_timeout` is called once it has worked for `timeout_s` seconds, in which
    no question was open; `on_unanswered` with the id of a question at its
    deadline, when the state has `UNANSWERED` for its answer. Create it on the
    event loop. After `stop` nothing is called any more.
    """

    def __init__(
        self,
        state: RunState,
        timeout_s: float,
        *,
        on_timeout: Callable[[], None],
        on_unanswered: Callable[[str], None],
    ) -> None:
        self._state = state
        self._timers = RunTimers(timeout_s, on_timeout)
        self._on_unanswered = on_unanswered

    def begin(self) -> None:
        """Watches the open questions; lets the time-out run if there is none."""
        for call in self._state.waiting:
            self._watch(call)
        self._let_time_run()

    def ask(self, step_id: str) -> None:
        """The state has a new question."""
        self._watch(self._state.calls[step_id])
        self._let_time_run()

    def settle(self, step_id: str) -> None:
        """The question has its answer."""
        self._timers.settle(step_id)
        self._let_time_run()

    def reopen(self, step_id: str) -> None:
        """Its answer can't be stored: the question stays open until its deadline."""
        call = self._state.calls[step_id]
        call.decision = None
        self._watch(call)

    def stop(self) -> None:
        """May be called twice."""
        self._timers.stop()
        # As with the timers: the run holds this, and is not to wait for a collection.
        self._on_unanswered = _nothing

    def _watch(self, call: CallState) -> None:
        self._timers.watch(call.call.id, call.deadline, lambda: self._pass(call))

    def _pass(self, call: CallState) -> None:
        if call.decision is not None:
            return  # It is on its way into the log.
        call.decision = UNANSWERED
        self._on_unanswered(call.call.id)

    def _let_time_run(self) -> None:
        if self._state.waiting:
            self._timers.pause()
        else:
            self._timers.run()


def _nothing(step_id: str) -> None:
    """What is called of deadlines that were stopped."""
