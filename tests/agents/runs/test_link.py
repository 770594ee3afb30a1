"""Two servers at one worker each hear what is theirs, and a worker may say whatever it likes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest

from agents.log.fold import History
from agents.runs.attempts import Attempt
from agents.runs.link import Link, LinkFailed, dial
from agents.runs.workers import Pool
from myagent.inner_spans import RunPlace
from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.runnable import NOTHING_DONE
from myagent.steps import Answer, Step, Thought
from myagent.worker import protocol
from myagent.worker.framing import FrameReader, framed
from myagent.worker.protocol import RunKey, Stopped
from tests.inline_worker import InlineWorker, inline_worker

PATIENCE_S = 30.0


class Server:
    """One end of a link, and the `Receiver` of its run: `heard` is all that it is told."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.heard: list[str] = []
        self.error: Exception | None = None
        self._has_heard = asyncio.Event()
        self._history = History(1000)
        self._history.start_turn("run")
        self._history.add("run", ChatMessage("user", "hi"))

    def start(self, epoch: int, attempt: int = 1, session: str = "session") -> Attempt:
        key = RunKey(session, epoch, attempt)
        return self.link.start(
            key, self._history, NOTHING_DONE, self, place=RunPlace("r", 1, ""), is_continued=False
        )

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

    def on_history_needed(self) -> None:
        self._hear("history")

    def on_broken(self, error: Exception) -> None:
        self.error = error
        self._hear("broken")

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


@dataclass
class TakenOver:
    """A session whose newer owner has just begun the run that the older one had begun."""

    older: Server
    newer: Server
    stale: Attempt
    agent: Agent
    worker: InlineWorker

    async def let_newer_hear_the_answer(self) -> None:
        self.agent.let_answer(self.worker)
        await self.newer.until("Answer")


@asynccontextmanager
async def taken_over() -> AsyncIterator[TakenOver]:
    agent = Agent()
    with inline_worker(agent.create) as worker:
        older, newer = [Server(await dial(worker.path, name)) for name in ("older", "newer")]
        stale = older.start(1)
        await agent.until_at_work()
        newer.start(2)
        await older.until("superseded")
        await agent.until_at_work()
        yield TakenOver(older, newer, stale, agent, worker)
        for server in (older, newer):
            server.link.close()


async def test_a_newer_owner_of_a_session_ends_the_run_of_the_older() -> None:
    async with taken_over() as session:
        await session.let_newer_hear_the_answer()
        assert (session.older.heard, session.newer.heard) == (["superseded"], ["Answer"])


async def test_what_an_older_owner_still_says_reaches_no_run_of_the_newer() -> None:
    async with taken_over() as session:
        older, newer = session.older, session.newer
        session.stale.accept()
        session.stale.refuse()
        session.stale.cancel()
        older.link.forget("session", 1)
        older.start(1, 2)
        older.heard.clear()
        await older.until("superseded")
        assert newer.heard == []
        await session.let_newer_hear_the_answer()
        assert newer.heard == ["Answer"]


async def test_a_link_that_ends_takes_no_run_of_another_server_along() -> None:
    async with taken_over() as session:
        session.older.link.close()
        await session.older.link.until_closed()
        await session.let_newer_hear_the_answer()
        assert session.newer.heard == ["Answer"]


# A worker is somebody else's code.

READY = {
    "kind": "ready",
    "version": protocol.VERSION,
    "instance": "i",
    "pid": os.getpid(),
    "agent": {
        "name": "a",
        "description": "",
        "tools": [],
        "model": "",
        "max_steps": None,
        "enable_tracing": True,
        "is_continuable": True,
    },
}
TEXT = {"kind": "text", "epoch": 1, "attempt": 1, "step": 1, "text": "hi"}
NEED_HISTORY = {"kind": "need_history", "epoch": 1, "attempt": 1}
STOPPED = {"kind": "stopped", "epoch": 1, "attempt": 1, "said": None, "is_retryable": False} | {
    "detail": ""
}

PONG = {"kind": "pong", "number": 1, "running": 0, "sessions": 0, "abandoned": 0}


class Impostor:
    """Listens like a worker, and says whatever it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[dict[str, Any]] = []
        self._has_heard = asyncio.Event()
        self._has_left = asyncio.Event()
        self._writer: asyncio.StreamWriter

    def say(self, *frames: dict[str, Any]) -> None:
        self._writer.write(b"".join(framed(orjson.dumps(frame)) for frame in frames))

    async def hear(self, kind: str, session: str | None) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (kind, session) not in [(m["kind"], m.get("session")) for m in self.heard]:
                self._has_heard.clear()
                await self._has_heard.wait()

    async def until_left(self) -> None:
        """Waits until the connection has ended."""
        async with asyncio.timeout(PATIENCE_S):
            await self._has_left.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        frames = FrameReader()
        # Who closes with something unread resets the connection.
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self.heard += map(orjson.loads, frames.feed(data))
                self._has_heard.set()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self._has_left.set()


@asynccontextmanager
async def impostor(ready: dict[str, Any] = READY) -> AsyncIterator[Impostor]:
    with TemporaryDirectory(prefix="w") as folder:
        worker = Impostor(Path(folder) / "s")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(framed(orjson.dumps(ready)))
            await worker._serve(reader, writer)

        server = await asyncio.start_unix_server(serve, str(worker.path))
        try:
            yield worker
        finally:
            server.close()
            await worker.until_left()


@pytest.mark.parametrize(
    "bad",
    [
        TEXT | {"text": 5},
        TEXT | {"kind": "steps", "steps": [{"step": "dance"}]},
        TEXT | {"kind": "stopped", "how": "bored"},
    ],
)
async def test_a_bad_frame_of_a_run_ends_that_run_and_no_other(bad: dict[str, Any]) -> None:
    async with impostor() as worker:
        link = await dial(worker.path, "a test")
        one, other = Server(link), Server(link)
        one.start(1, session="one")
        other.start(1, session="other")
        await worker.hear("start", "other")
        worker.say(bad | {"session": "one"}, TEXT | {"session": "other"})
        await one.until("broken")
        await other.until("text")
        assert isinstance(one.error, protocol.BadRunFrame)
        # It is told to the worker, too, and nothing more is heard of it.
        await worker.hear("cancel", "one")
        worker.say(TEXT | {"session": "one"}, TEXT | {"session": "other"})
        await other.until("text")
        assert (one.heard, link.is_closed) == (["broken"], False)
        link.close()
        await link.until_closed()


class Clumsy(Server):
    """Raises at everything that it is told."""

    def _hear(self, said: str) -> None:
        super()._hear(said)
        raise RuntimeError(said)


@pytest.mark.parametrize(
    "frame",
    [
        TEXT,
        TEXT | {"kind": "stepping"},
        STOPPED | {"how": "failed"},
        NEED_HISTORY,
    ],
    ids=lambda frame: frame["kind"],
)  # fmt: skip
async def test_a_run_that_fails_when_it_is_told_something_is_the_only_one(
    frame: dict[str, Any],
) -> None:
    async with impostor() as worker:
        link = await dial(worker.path, "a test")
        clumsy, other = Clumsy(link), Server(link)
        # The worker has had the history: only then it may say that it lost it.
        clumsy.start(0, session="clumsy")
        clumsy.start(1, session="clumsy")
        other.start(1, session="other")
        await worker.hear("start", "other")
        worker.say(frame | {"session": "clumsy"}, TEXT | {"session": "other"})
        await other.until("text")
        # Its last word is that it is given up, and even that may fail.
        assert clumsy.heard[-1] == "broken" and len(clumsy.heard) == 2
        assert (link.running, link.is_closed) == (1, False)
        link.close()
        await link.until_closed()
        await other.until("lost")


async def test_a_worker_may_ask_once_for_a_history_that_it_was_sent_before() -> None:
    async with impostor() as worker:
        link = await dial(worker.path, "a test")
        one, other = Server(link), Server(link)
        one.start(0, session="one")
        one.start(1, session="one")
        other.start(1, session="other")
        await worker.hear("start", "other")
        worker.say(NEED_HISTORY | {"session": "one"})
        await one.until("history")
        one.start(1, 2, session="one")
        worker.say(NEED_HISTORY | {"session": "one", "attempt": 2})
        await one.until("broken")
        assert isinstance(one.error, protocol.LinkError)
        await worker.hear("cancel", "one")
        worker.say(TEXT | {"session": "other"})
        await other.until("text")
        assert (one.heard, link.is_closed) == (["history", "broken"], False)
        link.close()
        await link.until_closed()


async def test_a_worker_that_turns_a_run_away_as_draining_is_draining() -> None:
    async with impostor() as worker:
        link = await dial(worker.path, "a test")
        pool = Pool("service")
        pool.add(link)
        run = Server(link)
        run.start(1)
        await worker.hear("start", "session")
        assert pool.has_worker
        worker.say(STOPPED | {"session": "session", "how": "draining"})
        await run.until("draining")
        assert link.is_draining and not pool.has_worker
        link.close()
        await link.until_closed()


async def test_a_lag_is_remembered_until_somebody_asks() -> None:
    """Also if the worker was well again since: it tells of itself more often than it is asked."""
    async with impostor() as worker:
        link = await dial(worker.path, "a test")
        run = Server(link)
        run.start(1)
        await worker.hear("ping", None)
        worker.say(PONG | {"lag_ms": 900.0}, PONG | {"lag_ms": 1.0})
        worker.say(TEXT | {"session": "session"})
        await run.until("text")
        assert link.take_lag_ms() == 900
        assert link.take_lag_ms() == 0
        link.close()
        await link.until_closed()


async def test_a_run_that_fails_when_its_link_ends_keeps_no_other_from_going_on() -> None:
    async with impostor() as worker:
        link = await dial(worker.path, "a test")
        clumsy, other = Clumsy(link), Server(link)
        clumsy.start(1, session="clumsy")
        other.start(1, session="other")
        link.close()
        await other.until("lost")
        assert clumsy.heard == ["lost", "broken"]


async def test_a_worker_that_does_not_say_what_it_is_is_refused_with_the_field() -> None:
    async with impostor(READY | {"pid": "mine"}) as worker:
        with pytest.raises(LinkFailed, match="'pid' must be a whole number"):
            await dial(worker.path, "a test")


FORKS_AND_DIES = """
import os, socket, sys, time

listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
child = os.fork()
if not child:
    time.sleep(3600)
print(child, flush=True)
time.sleep(3600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell who listens")
async def test_nobody_waits_for_a_worker_that_died_although_its_child_holds_the_socket() -> None:
    with TemporaryDirectory(prefix="w") as folder:
        path = Path(folder) / "s"
        process = subprocess.Popen(  # noqa: ASYNC220 - it starts in no time
            [sys.executable, "-c", FORKS_AND_DIES, str(path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        child = int(await asyncio.to_thread(process.stdout.readline))
        try:
            async with asyncio.timeout(PATIENCE_S):
                dialling = asyncio.create_task(dial(path, "a test", timeout_s=None))
                await asyncio.sleep(0)
                process.kill()
                with pytest.raises(LinkFailed, match="its process has ended"):
                    await dialling
                process.wait()
                # The socket still takes connections.
                with pytest.raises(LinkFailed, match="its process has ended"):
                    await dial(path, "a test", timeout_s=None)
        finally:
            os.kill(child, signal.SIGKILL)
            process.communicate()
