"""The timers of a run: its time-out, which pauses while people are asked, and the deadlines."""

from __future__ import annotations

from collections.abc import Callable

from agents.log.fold import CallState, RunState
from agents.runs.timers import RunTimers
from myagent.steps import Decision

UNANSWERED = Decision(False, feedback="Nobody answered in time.")


class Deadlines:
    """The timers of the run with `state`, and of the questions that it asks people.

    `on_timeout` is called after `timeout_s` seconds of work, not counting the time in which a
    question was open; `on_unanswered` with the id of a question at its deadline, after `UNANSWERED`
    was set as its answer in the state. Create it on the event loop. After `stop` nothing is called
    any more.
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
        """Watches the open questions; starts the time-out if there are none."""
        for call in self._state.waiting:
            self._watch(call)
        self._let_time_run()

    def ask(self, step_id: str) -> None:
        """The state has a new question."""
        self._watch(self._state.calls[step_id])
        self._let_time_run()

    def settle(self, step_id: str) -> None:
        """The question was answered."""
        self._timers.settle(step_id)
        self._let_time_run()

    def reopen(self, step_id: str) -> None:
        """The answer can't be stored: the question stays open until its deadline."""
        call = self._state.calls[step_id]
        call.decision = None
        self._watch(call)

    def stop(self) -> None:
        """May be called twice."""
        self._timers.stop()
        # As with the timers: the run refers to this object; a cycle would wait for a garbage
        # collection.
        self._on_unanswered = _nothing

    def _watch(self, call: CallState) -> None:
        self._timers.watch(call.call.id, call.deadline, lambda: self._pass(call))

    def _pass(self, call: CallState) -> None:
        if call.decision is not None:
            return  # The answer is being written to the log.
        call.decision = UNANSWERED
        self._on_unanswered(call.call.id)

    def _let_time_run(self) -> None:
        if self._state.waiting:
            self._timers.pause()
        else:
            self._timers.run()


def _nothing(step_id: str) -> None:
    """What stopped deadlines call."""
