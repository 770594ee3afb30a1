"""What the log gets for the tool calls that a run leaves open when it ends. No I/O."""

from __future__ import annotations

from agents.log import kinds
from agents.log.entry import Entry, RunRef
from agents.log.fold import CallState, RunState
from myagent.messages import ChatMessage
from myagent.steps import ToolFinished, ToolStatus


def closing_results(state: RunState, ref: RunRef) -> list[Entry]:
    """A result for every call that a run leaves open, so that the model's context stays whole."""
    return [kinds.tool_result(_closing(call), ref) for call in state.open_calls]


def _closing(call: CallState) -> ToolFinished:
    status: ToolStatus = "unknown" if call.has_started else "cancelled"
    text = (
        "The run was stopped while this tool worked; whether it had its effect is not known."
        if call.has_started
        else "The run was stopped before this tool started."
    )
    call_id, name = call.call.id, call.call.name
    return ToolFinished(
        call_id, name, status, text, 0, ChatMessage("tool", text, tool_call_id=call_id)
    )
