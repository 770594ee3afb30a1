"""Whether a run may be what kills workers. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from agents.log.entry import Entry

MOST_DEATHS = 3
"""Workers that may die at a run, with no progress of it in between, before it is ended."""


class Blame:
    """How many workers died at a run since it last made progress.

    Progress is a step of the model's whose tools all came to an end of their
    own. That a step was begun is none, nor is a result which says that nobody
    knows what became of the tool: a run that asks for a deadly tool again and
    again has such entries between any two deaths.
    """

    def __init__(self) -> None:
        self._deaths = 0
        self._is_whole = True

    def note_death(self) -> None:
        self._deaths += 1

    def note_logged(self, written: Sequence[Entry], *, is_step_done: bool) -> None:
        """`is_step_done`: no call of the step is open after these entries."""
        for entry in written:
            if entry.event == "agent.thinking":
                self._is_whole = True
            elif entry.event == "agent.tool_result" and entry.metadata["status"] == "unknown":
                self._is_whole = False
        has_result = any(entry.event == "agent.tool_result" for entry in written)
        if has_result and is_step_done and self._is_whole:
            self._deaths = 0

    @property
    def is_suspect(self) -> bool:
        """One more death, and it is guilty."""
        return self._deaths >= MOST_DEATHS - 1

    @property
    def is_guilty(self) -> bool:
        return self._deaths >= MOST_DEATHS
