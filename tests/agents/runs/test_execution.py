"""A run answers its questions once, ends when it is told to, and says why in people's language."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from agents.log import kinds
from agents.log.entry import Entry, RunRef
from agents.log.fold import CallState, History, RunState
from agents.log.journal import Outcome
from agents.log.writes import NextAttempt
from agents.runs.attempts import Attempt
from agents.runs.blame import MOST_DEATHS
from agents.runs.endings import Ending
from agents.runs.execution import Execution
from agents.runs.link import Link, dial
from agents.runs.workers import Pool
from myagent.inner_spans import RunPlace
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.sentence import Said
from myagent.steps import Answer, Step, Thought, ToolFinished, ToolStarted
from myagent.worker.protocol import (
    AgentInfo,
    Cancel,
    LinkError,
    Refuse,
    RunKey,
    Steps,
    Stopped,
    Text,
)
from tests.agents.test_session_property import PATIENCE_S
from tests.inline_worker import inline_worker

REF = RunRef("run", "message")
KEY = RunKey("session", 1, 1)


class Session:
    """An `execution.Owner` without workers, whose log is slow: `written` is on its way into it."""

    session_id = "session"
    affinity = ""
    lang = "zh-hans"
    show_thinking = show_text = None

    def __init__(self) -> None:
        self.history = History(1000)
        self.pool = Pool("service")
        self.worker: Link | None = None
        self.endings: list[Ending] = []
        self.interruptions: list[NextAttempt] = []
        self.before: list[Entry] = []
        self.written: list[list[Entry]] = []
        self._done: list[Callable[[Outcome], None]] = []
        self.notices: list[str] = []
        self.attempts = 0

    def next_key(self) -> RunKey:
        self.attempts += 1
        return RunKey(self.session_id, 1, self.attempts)

    def log(self, entries: Sequence[Entry], done: Callable[[Outcome], None]) -> None:
        self.written.append(list(entries))
        self._done.append(done)

    def write(self) -> None:
        """All that is on its way into the log is there now."""
        done, self._done = self._done, []
        for tell in done:
            tell([])

    def show_notice(self, code: str) -> None:
        self.notices.append(code)

    def note_next_attempt(self, next_attempt: NextAttempt) -> None:
        self.interruptions.append(next_attempt)

    def end_run(self, execution: Execution, before: Sequence[Entry], ending: Ending) -> None:
        self.endings.append(ending)
        self.before += before


def overdue() -> tuple[Execution, CallState]:
    """A run whose question's deadline passes as soon as the loop turns."""
    asked_at = datetime.now(UTC) - timedelta(seconds=60)
    call = CallState(ToolCall("call", "tool", "{}"), asked_at=asked_at, timeout_s=30)
    execution = Execution(Session(), REF, state=RunState(1, calls={"call": call}))
    execution.start(is_continued=True)
    return execution, call


def response() -> Entry:
    return kinds.user_response({"approved": True}, "call", REF)


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
    said = Said("The model did not answer in time.")
    Execution(session, REF).on_stopped(Stopped(KEY, "model_error", said, is_retryable=True))
    (ending,) = session.endings
    assert ending.entry.content == "模型未能及时回答。"
    assert ending.entry.metadata["code"] == "model_error"
    assert ending.entry.metadata["retryable"] is True


@pytest.mark.parametrize(("level", "told"), [("DEBUG", "status 400: no"), ("INFO", None)])
async def test_the_providers_words_are_told_to_clients_in_debug_mode_alone(
    caplog: pytest.LogCaptureFixture, level: str, told: str | None
) -> None:
    caplog.set_level(level)
    session = Session()
    stopped = Stopped(KEY, "model_error", Said("No."), cause="status 400: no")
    Execution(session, REF).on_stopped(stopped)
    (ending,) = session.endings
    assert ending.entry.metadata.get("cause") == told


@pytest.mark.parametrize(
    ("stopped", "shares_log", "count"),
    [
        (Stopped(KEY, "model_error", Said("No."), cause="status 400: no"), False, 1),
        (Stopped(KEY, "model_error", Said("No."), cause="status 400: no"), True, 0),
        (Stopped(KEY, "failed", detail="Traceback"), True, 0),
        (Stopped(KEY, "cut_off"), True, 1),
    ],
)
async def test_a_failure_that_the_worker_has_logged_to_the_same_place_is_not_logged_again(
    monkeypatch: pytest.MonkeyPatch, stopped: Stopped, shares_log: bool, count: int
) -> None:
    log = LogCapture()
    monkeypatch.setattr(
        "agents.runs.execution.logger", structlog.wrap_logger(None, processors=[log])
    )
    session = Session()
    session.pool.shares_log = shares_log
    Execution(session, REF).on_stopped(stopped)
    assert len(log.entries) == count
    for line in log.entries:
        assert (line["event"], line["session_id"], line["run_id"]) == (
            "run_failed",
            "session",
            "run",
        )
        assert line.get("cause", "") == stopped.cause


async def test_a_template_from_a_worker_is_filled_in_by_names_alone() -> None:
    session = Session()
    said = Said("{status.__class__} {status:>9999999999} {status}", {"status": 503})
    Execution(session, REF).on_stopped(Stopped(KEY, "model_error", said))
    (ending,) = session.endings
    assert ending.entry.content == "{status.__class__} {status:>9999999999} 503"


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

    async def create(self) -> Stubborn:
        return self.employed

    def end_run(self, execution: Execution, before: Sequence[Entry], ending: Ending) -> None:
        super().end_run(execution, before, ending)
        self.has_ended.set()


async def test_an_agent_that_swallows_its_cancel_ends_as_soon_as_its_next_step_is_refused(
    settings: Any,
) -> None:
    settings.MYAGENT_CANCEL_GRACE_S = 100 * PATIENCE_S
    session = Employer()
    with inline_worker(session.create) as worker:
        link = await dial(worker.path, "a test")
        session.pool.add(link)
        execution = Execution(session, REF)
        execution.start()
        await asyncio.to_thread(session.employed.is_at_work.wait, PATIENCE_S)
        execution.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await session.has_ended.wait()
        link.close()
    assert [ending.entry.event for ending in session.endings] == ["agent.interrupted"]


async def test_a_run_whose_steps_were_refused_is_ended_by_who_refused_them() -> None:
    session = Session()
    Execution(session, REF).on_stopped(Stopped(KEY, "refused"))
    assert session.endings == []


class Recording:
    """A link that writes down what is started on it, and what the attempt is told."""

    agent = AgentInfo("recording")
    pid = 1
    silent_for_s = 0.0
    is_draining = is_closed = has_suspect = False

    def __init__(self) -> None:
        self.started: list[bool] = []
        self.said: list[Any] = []
        self.released: list[Attempt] = []

    def start(self, key: RunKey, *about: Any, place: RunPlace, is_continued: bool) -> Attempt:
        self.started.append(is_continued)
        return Attempt(key, about[-1], send=self.send, release=self.release)

    def send(self, message: Any) -> None:
        self.said.append(message)

    def release(self, attempt: Attempt) -> None:
        self.released.append(attempt)

    running = 0


def on_a_worker(state: RunState | None = None) -> tuple[Session, Execution, Recording]:
    """A run that has been started on a link."""
    session, link = Session(), Recording()
    session.pool.add(link)  # type: ignore[arg-type]
    execution = Execution(session, REF, state=state)
    execution.start()
    return session, execution, link


async def test_a_run_that_a_draining_worker_sent_away_is_a_continued_one_where_it_goes() -> None:
    asked = CallState(ToolCall("call", "tool", "{}"), asked_at=datetime.now(UTC), timeout_s=30)
    other = CallState(ToolCall("other", "tool", "{}"))
    state = RunState(1, calls={"call": asked, "other": other})
    _, execution, link = on_a_worker(state)
    execution.on_stopped(Stopped(KEY, "draining"))
    assert link.started == [False, True]
    execution.leave()


async def test_a_run_that_a_draining_worker_did_not_begin_is_not_continued_elsewhere() -> None:
    _, execution, link = on_a_worker()
    execution.on_stopped(Stopped(KEY, "draining"))
    assert link.started == [False, False]
    execution.leave()


async def test_a_run_that_its_worker_said_nonsense_of_ends_and_the_worker_is_told() -> None:
    session, execution, link = on_a_worker()
    execution.on_broken(LinkError("'text' must be a text, not 5"))
    (ending,) = session.endings
    assert (ending.entry.event, ending.entry.metadata["code"]) == ("agent.error", "agent_error")
    assert Cancel(KEY) in link.said and link.released
    execution.on_broken(LinkError("again"))
    assert len(session.endings) == 1


async def test_a_run_that_this_server_failed_at_does_not_blame_the_agent() -> None:
    session, execution, _ = on_a_worker()
    execution.on_broken(RuntimeError("ours"))
    (ending,) = session.endings
    assert ending.entry.metadata["code"] == "internal_error"


async def test_a_run_that_was_to_stop_when_something_went_wrong_has_been_stopped() -> None:
    session, execution, _ = on_a_worker()
    execution.cancel()
    execution.on_broken(LinkError("odd"))
    assert [ending.entry.event for ending in session.endings] == ["agent.interrupted"]


async def test_the_text_of_an_answer_that_was_stopped_is_kept() -> None:
    session, execution, _ = on_a_worker()
    session.show_text = lambda *text: None  # type: ignore[assignment]
    execution.on_text(1, "It will be ")
    execution.on_text(1, "sunny")
    execution.cancel()
    execution.on_stopped(Stopped(KEY, "cancelled"))
    (ending,) = session.endings
    assert ending.entry.metadata["text"] == "It will be sunny"


async def test_an_answer_that_fails_before_it_begins_has_no_text() -> None:
    session, execution, _ = on_a_worker()
    execution.on_stopped(Stopped(KEY, "failed"))
    (ending,) = session.endings
    assert "text" not in ending.entry.metadata


async def test_a_worker_that_floods_its_text_floods_no_socket() -> None:
    session, execution, _ = on_a_worker()
    shown: list[str] = []
    session.show_text = lambda *text: shown.append(text[-1])  # type: ignore[assignment]
    attempt = attempt_of(execution)
    for _ in range(1000):
        attempt.hear(Text(KEY, 1, "x"))
    attempt.hear(Steps(KEY, [Answer("x" * 1000, 1, Usage())]))
    assert shown == ["x", "x" * 999]
    assert [ending.entry.event for ending in session.endings] == ["agent.final_answer"]


@pytest.mark.parametrize("is_last", [True, False])
async def test_steps_of_a_call_that_there_is_not_leave_nothing_behind(is_last: bool) -> None:
    session, execution, _ = on_a_worker()
    wish = ChatMessage("assistant", "", tool_calls=(ToolCall("call", "tool", "{}"),))
    steps: list[Step] = [Thought(1, "", wish, Usage(), 0), ToolStarted("other", "tool", {})]
    if is_last:
        steps.append(Answer("", 1, Usage()))
    attempt = execution._placement.attempt
    assert attempt is not None
    attempt.hear(Steps(KEY, steps))
    (ending,) = session.endings
    assert ending.entry.metadata["code"] == "agent_error"
    # A result without its call would spoil the model's memory.
    assert session.before == []


# What a worker that keeps to no rule may try.

WISH = ChatMessage("assistant", "", tool_calls=(ToolCall("call", "tool", "{}"),))
THOUGHT = Thought(1, "", WISH, Usage(), 0)
STARTED = ToolStarted("call", "tool", {})
FINISHED = ToolFinished(
    "call", "tool", "success", "", 0, ChatMessage("tool", "", tool_call_id="call")
)


def attempt_of(execution: Execution) -> Attempt:
    assert execution._placement.attempt is not None
    return execution._placement.attempt


async def test_a_worker_that_waits_for_no_answer_fills_no_memory() -> None:
    session, execution, link = on_a_worker()
    attempt = attempt_of(execution)
    for _ in range(1000):
        attempt.hear(Steps(KEY, [THOUGHT]))
    assert len(session.written) == 1
    (ending,) = session.endings
    assert ending.entry.metadata["code"] == "agent_error"
    assert Cancel(KEY) in link.said and link.released


async def test_an_answer_that_overtakes_steps_is_none() -> None:
    session, execution, _ = on_a_worker()
    attempt_of(execution).hear(Steps(KEY, [THOUGHT]))
    attempt_of(execution).hear(Steps(KEY, [Answer("", 1, Usage())]))
    (ending,) = session.endings
    assert ending.entry.metadata["code"] == "agent_error"


async def test_a_run_that_is_to_stop_takes_no_results_before_the_last_is_in_the_log() -> None:
    session, execution, _ = on_a_worker()
    attempt = attempt_of(execution)
    attempt.hear(Steps(KEY, [THOUGHT]))
    session.write()
    execution.cancel()
    attempt.hear(Steps(KEY, [FINISHED]))
    assert session.endings == []
    attempt.hear(Steps(KEY, [FINISHED]))
    assert len(session.written) == 2
    assert [ending.entry.event for ending in session.endings] == ["agent.interrupted"]


async def test_a_late_step_after_a_cancel_is_refused_though_the_last_is_still_written() -> None:
    session, execution, link = on_a_worker()
    attempt_of(execution).hear(Steps(KEY, [THOUGHT]))
    execution.cancel()
    attempt_of(execution).hear(Steps(KEY, [STARTED]))
    assert session.endings == []
    assert link.said == [Cancel(KEY), Refuse(KEY)]
    session.write()
    execution.leave()


async def test_a_call_has_one_result() -> None:
    session, execution, _ = on_a_worker()
    attempt = attempt_of(execution)
    for step in (THOUGHT, FINISHED, FINISHED):
        attempt.hear(Steps(KEY, [step]))
        session.write()
    assert len(session.written) == 2
    (ending,) = session.endings
    assert ending.entry.metadata["code"] == "agent_error"
    assert session.before == []


async def test_two_results_of_a_call_at_once_leave_it_open() -> None:
    session, execution, _ = on_a_worker()
    attempt = attempt_of(execution)
    attempt.hear(Steps(KEY, [THOUGHT]))
    session.write()
    attempt.hear(Steps(KEY, [FINISHED, FINISHED]))
    assert len(session.written) == 1
    # The run's end closes it.
    assert [entry.event for entry in session.before] == ["agent.tool_result"]


async def test_a_question_beside_a_deadly_tool_keeps_no_run_from_its_blame() -> None:
    asked = CallState(ToolCall("call", "tool", "{}"), asked_at=datetime.now(UTC), timeout_s=30)
    deadly = CallState(ToolCall("other", "tool", "{}"), started_args={})
    session, execution, _ = on_a_worker(RunState(1, calls={"call": asked, "other": deadly}))
    for _ in range(MOST_DEATHS):
        assert session.endings == []
        execution.on_lost(attempt_of(execution), has_died=True)
    (ending,) = session.endings
    assert ending.entry.metadata["code"] == "agent_error"


async def test_a_run_that_only_waits_for_somebody_is_blamed_for_no_death() -> None:
    session, execution, _ = on_a_worker()
    attempt = attempt_of(execution)
    execution.state.calls["call"] = CallState(
        ToolCall("call", "tool", "{}"), asked_at=datetime.now(UTC), timeout_s=30
    )
    for _ in range(MOST_DEATHS):
        execution._placement.attempt = attempt
        execution.on_lost(attempt, has_died=True)
    assert session.endings == [] and not execution._placement.is_suspect
    execution.leave()


async def test_a_run_that_has_ended_is_free_without_a_garbage_collection() -> None:
    _, execution, link = on_a_worker()
    execution.cancel()
    attempt_of(execution).hear(Stopped(KEY, "cancelled"))
    assert execution.is_ended
    link.released.clear()
    left = weakref.ref(execution)
    gc.disable()
    try:
        del execution
        assert left() is None
    finally:
        gc.enable()


BARE = AgentInfo("bare", is_continuable=False)


async def test_a_run_that_can_not_go_on_ends_where_it_would_go_and_tells_of_no_other_hope() -> None:
    session, link = Session(), Recording()
    link.agent = BARE
    Execution(session, REF).start(is_continued=True)
    assert session.interruptions == [NextAttempt("run", 2, [], [])]
    assert session.notices == ["waiting"]  # Nobody has said yet what the agent is.
    session.pool.add(link)  # type: ignore[arg-type]
    (ending,) = session.endings
    assert (ending.entry.metadata["code"], ending.entry.metadata["retryable"]) == (
        "agent_error",
        True,
    )
    assert session.notices == ["waiting"] and link.started == []


async def test_a_run_that_can_not_go_on_is_blamed_for_no_death() -> None:
    session, execution, link = on_a_worker()
    link.agent = BARE
    execution.on_lost(attempt_of(execution), has_died=True)
    (ending,) = session.endings
    assert ending.entry.metadata["retryable"] and session.notices == []


async def test_a_run_that_can_not_go_on_is_interrupted_where_its_service_is_stopped() -> None:
    session, execution, link = on_a_worker()
    link.agent, link.is_draining = BARE, True
    execution.on_lost(attempt_of(execution), has_died=False)
    assert session.endings == []
    session.pool.give_up("stopped")
    assert [ending.entry.event for ending in session.endings] == ["agent.interrupted"]
    assert session.notices == []
