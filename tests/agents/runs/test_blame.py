"""Which entries clear a run of the deaths of workers, and which do not."""

from __future__ import annotations

from agents.log import kinds
from agents.log.entry import Entry, RunRef
from agents.runs.blame import MOST_DEATHS, Blame
from myagent.messages import ChatMessage
from myagent.models.base import Usage
from myagent.steps import Thought, ToolFinished, ToolStarted, ToolStatus

REF = RunRef("run", "message")
THOUGHT = kinds.thinking(Thought(1, "", ChatMessage("assistant"), Usage(), 0), REF)
STARTED = kinds.tool_call(ToolStarted("call", "tool", {}), REF, "en")


def finished(status: ToolStatus) -> Entry:
    return kinds.tool_result(ToolFinished("call", "tool", status, "", 0, ChatMessage("tool")), REF)


def suspect() -> Blame:
    blame = Blame()
    for _ in range(MOST_DEATHS - 1):
        blame.note_death()
    assert blame.is_suspect and not blame.is_guilty
    return blame


def test_a_run_at_which_workers_die_in_a_row_is_guilty() -> None:
    blame = suspect()
    blame.note_death()
    assert blame.is_guilty


def test_a_step_that_came_to_its_end_clears_it() -> None:
    blame = suspect()
    blame.note_logged([THOUGHT], is_step_done=False)
    blame.note_logged([STARTED], is_step_done=False)
    assert blame.is_suspect
    blame.note_logged([finished("error")], is_step_done=True)
    assert not blame.is_suspect


def test_a_result_of_which_nobody_knows_more_clears_nothing() -> None:
    blame = suspect()
    for _ in range(3):
        blame.note_logged([finished("unknown")], is_step_done=True)
        blame.note_logged([THOUGHT], is_step_done=False)
        blame.note_logged([STARTED], is_step_done=False)
    assert blame.is_suspect


def test_a_harmless_tool_beside_the_deadly_one_clears_nothing() -> None:
    blame = suspect()
    blame.note_logged([THOUGHT], is_step_done=False)
    blame.note_logged([finished("success")], is_step_done=False)
    blame.note_logged([finished("unknown")], is_step_done=True)
    blame.note_logged([THOUGHT], is_step_done=False)
    blame.note_logged([finished("success")], is_step_done=False)
    assert blame.is_suspect
    blame.note_logged([finished("success")], is_step_done=True)
    assert not blame.is_suspect
