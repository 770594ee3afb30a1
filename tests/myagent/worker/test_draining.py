"""A worker that takes no new runs, and ends when the old ones are done."""

from __future__ import annotations

import asyncio
import threading

from myagent import tool
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Decision,
    ToolFinished,
    ToolStarted,
)
from myagent.testing import call
from myagent.worker.protocol import (
    Accept,
    Decide,
    Drain,
    Draining,
    Ping,
    Pong,
    Start,
    Stepping,
    Steps,
    Stopped,
)
from tests.inline_worker import inline_worker
from tests.myagent.worker.agents import Agents, echo, scripted
from tests.myagent.worker.dialling import PATIENCE_S, Dialled, dialled, start


@tool(requires_confirmation=True)
def send() -> str:
    """Sends something."""
    return "sent"


asks = scripted(call("send"), "done", tools=[send])


async def asked(link: Dialled, begun: Start) -> str:
    """Starts a run and goes on until it asks; the question's step_id."""
    link.say(begun)
    while True:
        [step] = (await link.hear(Steps)).steps
        link.say(Accept(begun.key))
        if isinstance(step, ConfirmationAsked):
            return step.step_id


async def test_a_decision_lets_the_run_go_on() -> None:
    with inline_worker(asks) as worker:
        async with dialled(worker.path) as link:
            begun = start()
            step_id = await asked(link, begun)
            link.say(Decide(begun.key, step_id, Decision(True)))
            [started] = (await link.hear(Steps)).steps
            assert isinstance(started, ToolStarted)


async def test_what_runs_is_finished_and_new_runs_are_refused() -> None:
    agents = Agents()
    with inline_worker(agents) as worker:
        async with dialled(worker.path) as link, dialled(worker.path) as other:
            link.say(start())
            await link.hear(Stepping)
            other.say(Drain())
            await other.hear(Draining)
            await link.hear(Draining)
            link.say(start(session="new"))
            assert (await link.hear(Stopped)).kind == "draining"
            async with dialled(worker.path) as late:
                assert await late.hear(Draining)
            worker.call(agents.made[0].go_on.set)
            assert isinstance((await link.hear(Steps)).steps[-1], Answer)
            assert await link.ended() == []
        assert worker.join() == "drained"


async def test_a_run_that_waits_for_a_person_is_left_to_another_worker() -> None:
    with inline_worker(asks) as worker:
        async with dialled(worker.path) as link:
            await asked(link, start())
            worker.drain()
            assert (await link.hear(Stopped)).kind == "draining"
        assert worker.join() == "drained"


async def test_a_run_that_comes_to_a_question_while_the_worker_drains_is_left() -> None:
    with inline_worker(asks) as worker:
        async with dialled(worker.path) as link:
            begun = start()
            link.say(begun)
            await link.hear(Steps)
            worker.drain()
            await link.hear(Draining)
            link.say(Accept(begun.key))
            [question] = (await link.hear(Steps)).steps
            assert isinstance(question, ConfirmationAsked)
            link.say(Accept(begun.key))
            assert (await link.hear(Stopped)).kind == "draining"
        assert worker.join() == "drained"


async def test_a_tool_at_work_beside_a_question_is_waited_for() -> None:
    go_on = threading.Event()

    @tool
    def work() -> str:
        assert go_on.wait(PATIENCE_S)
        return "worked"

    source = scripted([call("send"), call("work")], "done", tools=[send, work])
    with inline_worker(source) as worker:
        async with dialled(worker.path) as link:
            begun = start()
            link.say(begun)
            seen: set[type] = set()
            while not {ConfirmationAsked, ToolStarted} <= seen:
                seen |= {type(step) for step in (await link.hear(Steps)).steps}
                link.say(Accept(begun.key))
            worker.drain()
            await link.hear(Draining)
            link.say(Ping(1))
            assert (await link.hear(Pong)).report.running == 1
            go_on.set()
            [result] = (await link.hear(Steps)).steps
            assert isinstance(result, ToolFinished) and result.text == "worked"
            link.say(Accept(begun.key))
            assert (await link.hear(Stopped)).kind == "draining"
        assert worker.join() == "drained"


async def test_a_worker_that_nobody_dials_ends() -> None:
    with inline_worker(echo, orphan_after_s=0.05) as worker:
        assert worker.join() == "orphaned"


async def test_a_link_keeps_the_worker_and_its_end_starts_the_wait_anew() -> None:
    with inline_worker(echo, orphan_after_s=1) as worker:
        async with dialled(worker.path) as link:
            await asyncio.sleep(1.2)
            assert isinstance((await link.steps_of(start()))[-1], Answer)
        assert worker.join() == "orphaned"
