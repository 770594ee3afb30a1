"""The results that are written for a run's open calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agents.log.closing import closing_results
from agents.log.entry import RunRef
from agents.log.fold import CallState, RunState
from myagent.messages import ToolCall

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REF = RunRef("run", "message")


def state(**of_call: object) -> RunState:
    return RunState(calls={"c": CallState(ToolCall("c", "work", "{}"), **of_call)})  # type: ignore[arg-type]


def test_a_tool_that_was_stopped_while_it_worked_says_for_how_long_it_did() -> None:
    began = NOW - timedelta(seconds=1.25)
    (entry,) = closing_results(state(started_args={}, started_at=began), REF, NOW)
    assert (entry.metadata["status"], entry.metadata["duration_ms"]) == ("unknown", 1250)


def test_a_tool_that_did_not_start_or_whose_end_nobody_saw_has_no_duration() -> None:
    (waiting,) = closing_results(state(), REF, NOW)
    assert (waiting.metadata["status"], waiting.metadata["duration_ms"]) == ("cancelled", 0)
    (unseen,) = closing_results(state(started_args={}, started_at=NOW), REF)
    assert unseen.metadata["duration_ms"] == 0


def test_a_clock_that_was_set_back_makes_no_negative_time() -> None:
    later = NOW + timedelta(seconds=9)
    (entry,) = closing_results(state(started_args={}, started_at=later), REF, NOW)
    assert entry.metadata["duration_ms"] == 0
