"""Two servers at one worker: of one session it listens to the newer owner alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from agents.fold import History
from agents.link import Attempt, Link, dial
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.runnable import NOTHING_DONE
from myagent.steps import Answer, Step, Thought
from myagent.worker.protocol import RunKey, Stopped
from tests.inline_worker import InlineWorker, inline_worker

PATIENCE_S = 30.0


class Server:
    """One end of a link, and the `Receiver` of its run: `heard` is all that it is told."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.heard: list[str] = []
        self._has_heard = asyncio.Event()

    def start(self, epoch: int, attempt: int = 1) -> Attempt:
        history = History(1000)
        history.start_turn("run")
        history.add("run", ChatMessage("user", "hi"))
        key = RunKey("session", epoch, attempt)
        return self.link.start(key, history, NOTHING_DONE, self, is_continued=False)

    async def until(self, said: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while said not in self.heard:
                self._has_heard.clear()
                await self._has_heard.wait()

    def _hear(self, said: str) -> None:
        self.heard.append(said)
        self._has_heard.set()

    def on_steps(self, steps: Sequence[Step], attempt: Attempt) -> None:
        self._hear(type(steps[-1]).__name__)

    def on_step_started(self, step: int) -> None:
        self._hear("step")

    def on_text(self, step: int, text: str) -> None:
        self._hear("text")

    def on_stopped(self, stopped: Stopped) -> None:
        self._hear(stopped.kind)

    def on_history_needed(self, link: Link) -> None:
        self._hear("history")

    def on_lost(self, attempt: Attempt, *, has_died: bool) -> None:
        self._hear("lost")


class Agent:
    """Answers once it may; when it is cancelled, it goes on to a step all the same."""

    name = "agent"
    max_steps = None
    is_continuable = is_idempotent = True

    def __init__(self) -> None:
        self.is_at_work = threading.Semaphore(0)
        self.may_answer: asyncio.Event

    async def create(self) -> Agent:
        self.may_answer = asyncio.Event()
        return self

    async def run(self, history: Sequence[ChatMessage], **_: Any) -> AsyncGenerator[Step, None]:
        self.is_at_work.release()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            wish = ChatMessage("assistant", "", tool_calls=(ToolCall("call", "tool", "{}"),))
            yield Thought(1, "", wish, Usage(), 0)
            return
        yield Answer("Yes.", 1, Usage())

    async def until_at_work(self) -> None:
        assert await asyncio.to_thread(self.is_at_work.acquire, timeout=PATIENCE_S)

    def let_answer(self, worker: InlineWorker) -> None:
        worker.call(lambda: self.may_answer.set())


async def test_a_newer_owner_of_a_session_ends_the_run_of_the_older() -> None:
    agent = Agent()
    with inline_worker(agent.create) as worker:
        older, newer = [Server(await dial(worker.path, name)) for name in ("older", "newer")]
        older.start(1)
        await agent.until_at_work()
        newer.start(2)
        await older.until("superseded")
        await agent.until_at_work()
        agent.let_answer(worker)
        await newer.until("Answer")
        assert (older.heard, newer.heard) == (["superseded"], ["Answer"])
        for server in (older, newer):
            server.link.close()


async def test_what_an_older_owner_still_says_reaches_no_run_of_the_newer() -> None:
    agent = Agent()
    with inline_worker(agent.create) as worker:
        older, newer = [Server(await dial(worker.path, name)) for name in ("older", "newer")]
        stale = older.start(1)
        await agent.until_at_work()
        newer.start(2)
        await older.until("superseded")
        await agent.until_at_work()
        stale.accept()
        stale.refuse()
        stale.cancel()
        older.link.forget("session", 1)
        older.start(1, 2)
        older.heard.clear()
        await older.until("superseded")
        assert newer.heard == []
        agent.let_answer(worker)
        await newer.until("Answer")
        assert newer.heard == ["Answer"]
        for server in (older, newer):
            server.link.close()


async def test_a_link_that_ends_takes_no_run_of_another_server_along() -> None:
    agent = Agent()
    with inline_worker(agent.create) as worker:
        older, newer = [Server(await dial(worker.path, name)) for name in ("older", "newer")]
        older.start(1)
        await agent.until_at_work()
        newer.start(2)
        await older.until("superseded")
        await agent.until_at_work()
        older.link.close()
        await older.link.until_closed()
        agent.let_answer(worker)
        await newer.until("Answer")
        assert newer.heard == ["Answer"]
        newer.link.close()
