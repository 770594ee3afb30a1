"""A run answers its questions once, ends when it is told to, and says why in people's language."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agents import entries
from agents.agent_loop import AgentLoop
from agents.bridge import Stopped
from agents.entries import Entry, RunRef
from agents.execution import Ending, Execution
from agents.fold import CallState, History, RunState
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import ModelError, Usage
from myagent.steps import Step, Thought
from tests.agents.test_session_property import PATIENCE_S, agent_loop

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


class Stubborn:
    """A `Runnable` that swallows a cancel and goes on to its next step."""

    name = "stubborn"
    max_steps = None
    is_continuable = is_idempotent = False

    def __init__(self) -> None:
        self.is_at_work = threading.Event()

    async def run(self, history: Sequence[ChatMessage], **_: Any) -> AsyncGenerator[Step, None]:
        never = asyncio.get_running_loop().create_future()
        self.is_at_work.set()
        try:
            await never
        except asyncio.CancelledError:
            wish = ChatMessage("assistant", "", tool_calls=(ToolCall("call", "tool", "{}"),))
            yield Thought(1, "", wish, Usage(), 0)


class Employer(Session):
    """The session of a stubborn agent."""

    def __init__(self) -> None:
        super().__init__()
        self.has_ended = asyncio.Event()
        self.employed = Stubborn()

    async def agent(self) -> Stubborn:
        return self.employed

    def end_run(self, execution: Execution, before: Sequence[Entry], ending: Ending) -> None:
        super().end_run(execution, before, ending)
        self.has_ended.set()


async def test_an_agent_that_swallows_its_cancel_ends_as_soon_as_its_next_step_is_refused(
    settings: Any,
) -> None:
    settings.MYAGENT_CANCEL_GRACE_S = 100 * PATIENCE_S
    with agent_loop() as agents:
        session = Employer()
        execution = Execution(session, agents, REF)
        execution.start()
        await asyncio.to_thread(session.employed.is_at_work.wait, PATIENCE_S)
        execution.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await session.has_ended.wait()
    assert [ending.entry.event for ending in session.endings] == ["agent.interrupted"]


async def test_a_run_whose_steps_were_refused_is_ended_by_who_refused_them() -> None:
    session = Session()
    Execution(session, NoLoop(), REF).on_stopped(Stopped(None))
    assert session.endings == []
