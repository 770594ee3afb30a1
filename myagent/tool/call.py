"""One tool call, from the model's request to its result."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from myagent import exact_json
from myagent.inner_spans import InnerSpans
from myagent.messages import ChatMessage, ToolCall
from myagent.span_collection import collecting
from myagent.steps import (
    Confirm,
    ConfirmationAsked,
    Decision,
    OpenCall,
    ToolFinished,
    ToolStarted,
    ToolStatus,
)
from myagent.tool.base_tool import ToolResult
from myagent.tool.containment import run_tool
from myagent.tool.schema import ArgumentsError
from myagent.tool.text import clean, cut
from myagent.tool.toolbox import PreparedTool, Toolbox

Announce = Callable[[ConfirmationAsked | ToolStarted], Awaitable[None]]
"""Yields a step; returns when the consumer has asked for the next one."""

NOTE_LIMIT = 2000
"""Bytes of changed arguments that the model is shown again."""

UNKNOWN_EFFECT = (
    "The run was interrupted while this tool was at work, so whether it had its effect "
    "is not known. Find out before you call it again."
)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A call that may run; `values` are `args` as `execute` takes them."""

    entry: PreparedTool
    args: dict[str, Any]
    values: dict[str, Any]
    note: str


class _Settled(Exception):
    """The call ended without the tool being run."""

    def __init__(self, status: ToolStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


async def settle(
    open_call: OpenCall,
    toolbox: Toolbox,
    *,
    confirm: Confirm,
    announce: Announce,
    turn: AbstractAsyncContextManager[None],
) -> ToolFinished:
    """Brings one call to its end; its tool runs while it has its `turn`.

    Raises what `confirm` raises; cancelling is safe.
    """
    call = open_call.call
    try:
        ready = await _prepare(open_call, toolbox, confirm, announce)
    except _Settled as end:
        return _finished(call, end.status, end.sentence)
    async with turn:
        if not open_call.has_started:
            await announce(ToolStarted(call.id, call.name, ready.args))
        began = time.monotonic()
        with collecting(call.id) as spans:
            result = await run_tool(ready.entry.tool, ready.values)
        duration_ms = round((time.monotonic() - began) * 1000)
    return _ran(call, result, ready.note, duration_ms, spans)


async def _prepare(
    open_call: OpenCall, toolbox: Toolbox, confirm: Confirm, announce: Announce
) -> _Ready:
    call = open_call.call
    entry = toolbox.find(call.name)
    if open_call.has_started and (entry is None or not entry.tool.idempotent):
        raise _Settled("unknown", UNKNOWN_EFFECT)
    if entry is None:
        raise _Settled("error", _unknown_tool(call.name, toolbox))
    args, values = _checked(entry, open_call.started_args, call.arguments)
    decision = open_call.decision
    if open_call.has_started:
        return _Ready(entry, args, values, _note(entry, call, decision))
    if decision is None:
        decision = await _decided(open_call, entry, args, confirm, announce)
    if decision is not None:
        args, values = _approved(entry, args, values, decision)
    return _Ready(entry, args, values, _note(entry, call, decision))


def _unknown_tool(name: str, toolbox: Toolbox) -> str:
    if not toolbox.names:
        return f"There is no tool {name!r}; there are no tools at all."
    return f"There is no tool {name!r}. The tools are: {', '.join(toolbox.names)}."


def _checked(
    entry: PreparedTool, given: Mapping[str, Any] | None, text: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        args = dict(given) if given is not None else entry.arguments.parse(text)
        return args, entry.arguments.check(args)
    except ArgumentsError as error:
        raise _Settled("error", str(error)) from error


async def _decided(
    open_call: OpenCall,
    entry: PreparedTool,
    args: dict[str, Any],
    confirm: Confirm,
    announce: Announce,
) -> Decision | None:
    if not (open_call.has_asked or entry.tool.requires_confirmation):
        return None
    call = open_call.call
    asked = ConfirmationAsked(
        call.id,
        call.name,
        args,
        entry.tool.confirm_timeout_s,
        entry.told_description,
        entry.told_parameters,
    )
    if not open_call.has_asked:
        await announce(asked)
    return await confirm(asked)


def _approved(
    entry: PreparedTool, args: dict[str, Any], values: dict[str, Any], decision: Decision
) -> tuple[dict[str, Any], dict[str, Any]]:
    if not decision.approved:
        reason = f" The reason given: {decision.feedback}" if decision.feedback else ""
        raise _Settled("declined", f"The call was declined, the tool did not run.{reason}")
    if decision.args is None:
        return args, values
    try:
        return _checked(entry, decision.args, "")
    except _Settled as end:
        raise _Settled(
            "error", f"The user approved the call with changed arguments. {end.sentence}"
        ) from end


def _note(entry: PreparedTool, call: ToolCall, decision: Decision | None) -> str:
    """What the model should know of a decision besides the result."""
    if decision is None:
        return ""
    note = ""
    if decision.args is not None and decision.args != entry.arguments.parse(call.arguments):
        shown, _ = cut(exact_json.dumps(decision.args), NOTE_LIMIT)
        note += f"The user changed the arguments of this call to: {shown}\n"
    if decision.feedback:
        said, _ = cut(clean(decision.feedback), NOTE_LIMIT)
        note += f"The user approved this call and said: {said}\n"
    return note


def _ran(
    call: ToolCall, result: ToolResult, note: str, duration_ms: int, spans: InnerSpans
) -> ToolFinished:
    status: ToolStatus = "error" if result.is_error else "success"
    text = result.error if result.is_error else result.output
    return _finished(call, status, text, note=note, duration_ms=duration_ms, spans=spans)


def _finished(
    call: ToolCall,
    status: ToolStatus,
    text: str,
    *,
    note: str = "",
    duration_ms: int = 0,
    spans: InnerSpans | None = None,
) -> ToolFinished:
    text, full_length = cut(clean(text))
    told = f"Error: {text}" if status == "error" else text or "(The tool gave no output.)"
    if full_length is not None:
        told += f"\n(Cut; the whole result has {full_length} characters.)"
    return ToolFinished(
        step_id=call.id,
        tool=call.name,
        status=status,
        text=text,
        duration_ms=duration_ms,
        message=ChatMessage("tool", note + told, tool_call_id=call.id),
        full_length=full_length,
        spans=() if spans is None else tuple(spans.kept),
        spans_left_out=0 if spans is None else spans.left_out,
    )
