"""Whether a run may be what kills workers. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from agents.log.entry import Entry

MOST_DEATHS = 3
"""Number of workers that may die during a run without progress before the run is ended."""


class Blame:
    """Counts the workers that died during a run since it last made progress.

    Progress is a step of the model whose tools all ended by themselves. The start of a step does
    not count, nor does a result that says that a tool's outcome is unknown: a run that keeps
    calling a deadly tool has such entries between any two deaths.
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
        """Counts one more death that is blamed on the run."""
        return self._deaths >= MOST_DEATHS - 1

    @property
    def is_guilty(self) -> bool:
        return self._deaths >= MOST_DEATHS
