"""Applies a worker's steps to their run's state: all of them or none. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from agents.log.fold import Fact, RunState
from myagent.worker.protocol import LinkError


def apply(state: RunState, facts: Sequence[Fact]) -> None:
    """Raises `LinkError` if the steps fit no run; then none of them is applied."""
    for number, fact in enumerate(facts):
        try:
            _apply_one(state, fact)
        except LinkError:
            state.take_back(facts[:number])
            raise


def _apply_one(state: RunState, fact: Fact) -> None:
    """Raises `LinkError` if the result belongs to no known call, or is a second result.

    A second result would corrupt the model's memory, as would one without its call.
    """
    if fact.event == "agent.tool_result":
        call = state.calls.get(fact.step_id)
        if call is not None and call.is_finished:
            raise LinkError(f"a second result of a call: {fact.step_id!r}")
    try:
        state.apply(fact)
    except KeyError as error:
        raise LinkError(f"a step of a call that there is not: {error}") from error
