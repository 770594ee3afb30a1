"""What a worker keeps of sessions between their runs, and which runs it does not start."""

from __future__ import annotations

import pytest

from myagent.messages import ChatMessage
from myagent.steps import (
    Answer,
)
from myagent.worker import runs, sessions
from myagent.worker.protocol import (
    Cancel,
    Forget,
    NeedHistory,
    Ping,
    Pong,
    Start,
    Stepping,
    Steps,
    Stopped,
)
from tests.inline_worker import inline_worker
from tests.myagent.worker.agents import Agents, echo
from tests.myagent.worker.dialling import dialled, start


async def test_the_history_may_go_on_from_where_the_worker_has_it() -> None:
    def said(*texts: str) -> list[ChatMessage]:
        return [ChatMessage("user", text) for text in texts]

    with inline_worker(echo) as worker:
        async with dialled(worker.path) as link:

            async def answer(begun: Start) -> str:
                last = (await link.steps_of(begun))[-1]
                assert isinstance(last, Answer)
                return last.text

            async def is_asked_for(begun: Start) -> bool:
                link.say(begun)
                return (await link.hear(NeedHistory)).key == begun.key

            assert await answer(start(said("a", "b"))) == "a | b"
            assert await answer(start(said("c"), attempt=2, at=2)) == "a | b | c"
            assert await answer(start(said("d"), attempt=3, at=1)) == "a | d"
            assert await is_asked_for(start(said("e"), attempt=4, at=3))
            assert await is_asked_for(start(said("e"), attempt=4, at=2, generation=2))
            assert await is_asked_for(start(said("e"), session="other", at=1))
            # The same attempt again, whole.
            whole = start(said("x", "e"), attempt=4, generation=2)
            assert await answer(whole) == "x | e"
            link.say(Forget("s", 1))
            assert await is_asked_for(start(said("f"), attempt=5, at=2, generation=2))


# Cancelling, and runs that are too old.


async def test_a_run_that_is_cancelled_says_so_and_its_session_keeps_the_agent() -> None:
    agents = Agents()
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as link:
            first = start()
            link.say(first)
            await link.hear(Stepping)
            link.say(Cancel(first.key))
            assert await link.hear(Stopped) == Stopped(first.key, "cancelled")
            link.say(start(attempt=2))
            await link.hear(Stepping)
    assert len(agents.made) == 1


async def test_a_run_that_is_cancelled_at_once_says_that_it_stopped() -> None:
    agents = Agents()
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as link:
            first = start()
            link.say(first, Cancel(first.key))
            assert await link.hear(Stopped) == Stopped(first.key, "cancelled")
    assert not agents.made


async def test_a_run_that_ignores_its_cancel_is_abandoned_and_the_next_gets_another_agent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "CANCEL_GRACE_S", 0.01)
    agents = Agents(is_stubborn=True)
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as link:
            first, second = start(), start(attempt=2)
            link.say(first)
            await link.hear(Stepping)
            link.say(Cancel(first.key))
            assert (await link.hear(Stopped)).key == first.key
            link.say(second, Ping(1))
            assert (await link.hear(Pong)).report.abandoned == 1
            assert (await link.hear(Stepping)).key == second.key
            assert len(agents.made) == 2
            for agent in agents.made:
                worker.call(agent.go_on.set)
            # Its late answer is not heard.
            assert (await link.hear(Steps)).key == second.key


async def test_a_newer_run_ends_the_older_one_and_an_older_one_is_not_started() -> None:
    agents = Agents()
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as one, dialled(worker.path) as other:
            old, new = start(epoch=1, attempt=7), start(epoch=2)
            one.say(old)
            await one.hear(Stepping)
            other.say(new)
            assert (await other.hear(Stepping)).key == new.key
            assert await one.hear(Stopped) == Stopped(old.key, "superseded")
            for late in (old, start(epoch=1, attempt=8), new):
                one.say(late)
                assert await one.hear(Stopped) == Stopped(late.key, "superseded")
            # What comes for the old one does not touch the new.
            one.say(Cancel(old.key), Forget("s", 1), Ping(1))
            assert (await one.hear(Pong)).report.running == 1
            worker.call(agents.made[-1].go_on.set)
            assert (await other.hear(Steps)).key == new.key


async def test_a_newer_run_waits_for_the_older_ones_that_are_stopping() -> None:
    agents = Agents(is_stubborn=True)
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as link:
            link.say(start())
            await link.hear(Stepping)
            link.say(start(attempt=2), start(attempt=3), Ping(1))
            await link.hear(Pong)
            assert [m.key.attempt for m in link.heard if isinstance(m, Stopped)] == [1, 2]
            assert sum(isinstance(m, Stepping) for m in link.heard) == 1
            worker.call(agents.made[0].go_on.set)
            assert (await link.hear(Stepping)).key.attempt == 3
    assert len(agents.made) == 1


async def test_a_session_that_was_forgotten_stays_closed_to_its_older_runs() -> None:
    with inline_worker(echo) as worker:
        async with dialled(worker.path) as link:
            await link.steps_of(start(epoch=2))
            link.say(Forget("s", 1), Ping(1))
            assert (await link.hear(Pong)).report.sessions == 1
            link.say(Forget("s", 2), Ping(2))
            assert (await link.hear(Pong)).report.sessions == 0
            link.say(start(epoch=2))
            assert (await link.hear(Stopped)).kind == "superseded"
            await link.steps_of(start(epoch=2, attempt=2))


async def test_a_run_waits_for_the_older_one_although_their_session_was_forgotten_meanwhile() -> (
    None
):
    agents = Agents(is_stubborn=True)
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as link:
            link.say(start())
            await link.hear(Stepping)
            link.say(Forget("s", 1), start(epoch=2), Ping(1))
            await link.hear(Pong)
            assert sum(isinstance(message, Stepping) for message in link.heard) == 1
            worker.call(agents.made[0].go_on.set)
            assert (await link.hear(Stepping)).key.epoch == 2
            # What was forgotten is not used again.
            assert len(agents.made) == 2
            worker.call(agents.made[1].go_on.set)
            assert (await link.hear(Steps)).key.epoch == 2


async def test_a_session_that_was_forgotten_goes_once_its_run_is_over() -> None:
    agents = Agents(is_stubborn=True)
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as link:
            link.say(start())
            await link.hear(Stepping)
            link.say(Forget("s", 1), Ping(1))
            assert (await link.hear(Pong)).report.sessions == 1
            worker.call(agents.made[0].go_on.set)
            await link.hear(Steps)
            link.say(Ping(2))
            assert (await link.hear(Pong)).report.sessions == 0
            link.say(start())
            assert (await link.hear(Stopped)).kind == "superseded"


async def test_of_too_many_sessions_the_one_longest_idle_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    agents = Agents()
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as link:
            link.say(start(session="busy"))
            await link.hear(Stepping)
            for name in ("a", "b"):
                link.say(start(session=name))
                await link.hear(Stepping)
                worker.call(agents.made[-1].go_on.set)
                await link.hear(Steps)
            link.say(Ping(1))
            report = (await link.hear(Pong)).report
    assert (report.sessions, report.running) == (2, 1)
