"""What the log gets for the tool calls that a run leaves open when it ends. No I/O."""

from __future__ import annotations

from datetime import datetime

from agents.log import kinds
from agents.log.entry import Entry, RunRef
from agents.log.fold import CallState, RunState
from agents.runtime.durations import ms_between
from myagent.messages import ChatMessage
from myagent.steps import ToolFinished, ToolStatus


def closing_results(state: RunState, ref: RunRef, ended_at: datetime | None = None) -> list[Entry]:
    """A result for every call that a run leaves open, so that the model's context stays complete.

    `ended_at`: when they were stopped; None if that was not observed.
    """
    return [kinds.tool_result(_closing(call, ended_at), ref) for call in state.open_calls]


def _closing(call: CallState, ended_at: datetime | None) -> ToolFinished:
    status: ToolStatus = "unknown" if call.has_started else "cancelled"
    text = (
        "The run was stopped while this tool worked; whether it had its effect is not known."
        if call.has_started
        else "The run was stopped before this tool started."
    )
    call_id, name = call.call.id, call.call.name
    message = ChatMessage("tool", text, tool_call_id=call_id)
    return ToolFinished(call_id, name, status, text, _duration_ms(call, ended_at), message)


def _duration_ms(call: CallState, ended_at: datetime | None) -> int:
    if call.started_at is None or ended_at is None:
        return 0
    return ms_between(call.started_at, ended_at)
