"""A run answers each of its questions once, and says in the session's language why it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agents import entries
from agents.agent_loop import AgentLoop
from agents.bridge import Stopped
from agents.entries import Entry, RunRef
from agents.execution import Ending, Execution
from agents.fold import CallState, History, RunState
from myagent.messages import ToolCall
from myagent.models.base import ModelError

REF = RunRef("run", "message")


class NoLoop(AgentLoop):
    """Agents that never do anything."""

    def call(self, function: Any, *args: Any) -> None:
        pass


class Session:
    """An `execution.Owner` that is asked for nothing here but its memory."""

    session_id = "session"
    lang = "zh-hans"
    agent = log = show_thinking = show_text = None

    def __init__(self) -> None:
        self.history = History(1000)
        self.endings: list[Ending] = []

    def end_run(self, execution: Execution, before: Sequence[Entry], ending: Ending) -> None:
        self.endings.append(ending)


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


async def test_a_model_that_fails_is_told_of_in_the_language_of_the_session() -> None:
    session = Session()
    error = ModelError("The model did not answer in time.", is_retryable=True)
    Execution(session, NoLoop(), REF).on_stopped(Stopped(error))
    (ending,) = session.endings
    assert ending.entry.content == "模型未能及时回答。"
    assert ending.entry.metadata["code"] == "model_error"
