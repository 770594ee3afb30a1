"""A run's questions have one answer, whoever is first: somebody's, or the deadline's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from agents import entries
from agents.agent_loop import AgentLoop
from agents.entries import Entry, RunRef
from agents.execution import Execution
from agents.fold import CallState, History, RunState
from myagent.messages import ToolCall

REF = RunRef("run", "message")


class NoLoop(AgentLoop):
    """Agents that never do anything."""

    def call(self, function: Any, *args: Any) -> None:
        pass


class Session:
    """An `execution.Owner` that is asked for nothing here but its memory."""

    session_id = "session"
    lang = "en"
    agent = log = end_run = show_thinking = show_text = None

    def __init__(self) -> None:
        self.history = History(1000)


def overdue() -> tuple[Execution, CallState]:
    """A run whose question's deadline passes as soon as the loop turns."""
    asked_at = datetime.now(UTC) - timedelta(seconds=60)
    call = CallState(ToolCall("call", "tool", "{}"), asked_at=asked_at, timeout_s=30)
    execution = Execution(Session(), NoLoop(), REF, state=RunState(1, calls={"call": call}))
    execution.start(is_continued=True)
    return execution, call


def response() -> Entry:
    return entries.user_response({"approved": True}, "call", REF)


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_question_that_nobody_answers_is_declined_at_its_deadline() -> None:
    execution, call = overdue()
    await turns()
    assert call.decision is not None and not call.decision.approved
    execution.leave()


async def test_a_response_on_its_way_into_the_log_is_not_overtaken_by_the_deadline() -> None:
    execution, call = overdue()
    execution.on_response(response())
    await turns()
    assert call.decision is not None and call.decision.approved
    execution.leave()


async def test_a_response_that_cannot_be_stored_leaves_the_question_to_its_deadline() -> None:
    execution, call = overdue()
    execution.on_response(response())
    await turns()
    execution.on_response_refused("call")
    assert execution.is_waiting
    await turns()
    assert call.decision is not None and not call.decision.approved
    execution.leave()
