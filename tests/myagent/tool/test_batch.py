from __future__ import annotations

import asyncio
from contextlib import aclosing

import orjson
import pytest

from myagent.messages import ToolCall
from myagent.steps import (
    ConfirmationAsked,
    Decision,
    OpenCall,
    ToolFinished,
    ToolStarted,
)
from myagent.tool import FunctionTool, batch, containment
from myagent.tool.batch import run_calls
from myagent.tool.toolbox import Toolbox
from tests.myagent.runs import Approver, one, only, refuse_to_be_asked


class Gate:
    """A tool that ends when the test says so."""

    def __init__(self, name: str, **options) -> None:
        self.started, self.open, self.cancelled = (asyncio.Event() for _ in range(3))
        self.runs = 0

        async def execute(word: str = "") -> str:
            self.runs += 1
            self.started.set()
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
            return f"{name} {word}".strip()

        self.tool = FunctionTool(execute, name=name, **options)


def wish(name: str, **args) -> ToolCall:
    return ToolCall(f"call_{name}", name, orjson.dumps(args).decode())


def told(steps) -> list[tuple[str, str]]:
    return [(type(step).__name__, step.tool) for step in steps]


async def test_a_tool_starts_only_once_the_next_step_is_asked_for() -> None:
    gate = Gate("a")
    run = run_calls([OpenCall(wish("a"))], Toolbox([gate.tool]), refuse_to_be_asked)
    async with aclosing(run) as steps:
        assert isinstance(await anext(steps), ToolStarted)
        for _ in range(20):
            await asyncio.sleep(0)
        assert gate.runs == 0
        gate.open.set()
        assert (await anext(steps)).text == "a"
        assert gate.runs == 1


async def test_calls_run_at_the_same_time_and_are_told_in_their_order() -> None:
    first, second = Gate("a"), Gate("b")
    calls = [OpenCall(wish("a")), OpenCall(wish("b"))]
    run = run_calls(calls, Toolbox([first.tool, second.tool]), refuse_to_be_asked)
    async with aclosing(run) as steps:
        seen = [await anext(steps), await anext(steps)]
        rest = asyncio.ensure_future(anext(steps))
        await first.started.wait()
        await second.started.wait()
        second.open.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not rest.done()
        first.open.set()
        seen += [await rest, await anext(steps)]
    assert told(seen) == [
        ("ToolStarted", "a"),
        ("ToolStarted", "b"),
        ("ToolFinished", "a"),
        ("ToolFinished", "b"),
    ]


async def test_a_result_does_not_wait_for_a_call_that_waits_for_a_confirmation() -> None:
    asking = Gate("asks", requires_confirmation=True)
    free = Gate("free")
    asking.open.set()
    free.open.set()
    approver = Approver()
    calls = [OpenCall(wish("asks")), OpenCall(wish("free"))]
    seen = []
    async with aclosing(
        run_calls(calls, Toolbox([asking.tool, free.tool]), approver.confirm)
    ) as steps:
        async for step in steps:
            seen.append(step)
            if isinstance(step, ToolFinished) and step.tool == "free":
                approver.decide(Decision(approved=True))
    assert told(seen) == [
        ("ConfirmationAsked", "asks"),
        ("ToolStarted", "free"),
        ("ToolFinished", "free"),
        ("ToolStarted", "asks"),
        ("ToolFinished", "asks"),
    ]


async def test_a_call_that_was_approved_holds_later_results_back_again() -> None:
    asking, free = Gate("asks", requires_confirmation=True), Gate("free")
    approver = Approver(Decision(approved=True))
    calls = [OpenCall(wish("asks")), OpenCall(wish("free"))]
    run = run_calls(calls, Toolbox([asking.tool, free.tool]), approver.confirm)
    async with aclosing(run) as steps:
        seen = [await anext(steps) for _ in range(3)]
        assert len(only(ToolStarted, seen)) == 2
        rest = asyncio.ensure_future(anext(steps))
        await asking.started.wait()
        free.open.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not rest.done()
        asking.open.set()
        assert [(await rest).tool, (await anext(steps)).tool] == ["asks", "free"]


async def test_closing_cancels_the_tools_and_waits_for_them() -> None:
    gates = [Gate("a"), Gate("b")]
    calls = [OpenCall(wish("a")), OpenCall(wish("b"))]
    run = run_calls(calls, Toolbox([gate.tool for gate in gates]), refuse_to_be_asked)
    async with aclosing(run) as steps:
        await anext(steps)
        await anext(steps)
        waiting = asyncio.ensure_future(anext(steps))
        for gate in gates:
            await gate.started.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert all(gate.cancelled.is_set() for gate in gates)


async def test_closing_while_a_confirmation_is_awaited_ends_it() -> None:
    gate, approver = Gate("a", requires_confirmation=True), Approver()
    run = run_calls([OpenCall(wish("a"))], Toolbox([gate.tool]), approver.confirm)
    async with aclosing(run) as steps:
        assert isinstance(await anext(steps), ConfirmationAsked)
    assert gate.runs == 0
    assert len(asyncio.all_tasks()) == 1


async def test_closing_does_not_wait_long_for_a_tool_that_ignores_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(containment, "CANCEL_GRACE_S", 0.01)
    started, release, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        over.set()

    calls = [OpenCall(wish("stubborn"))]
    async with aclosing(
        run_calls(calls, Toolbox([FunctionTool(stubborn)]), refuse_to_be_asked)
    ) as steps:
        await anext(steps)
        waiting = asyncio.ensure_future(anext(steps))
        await started.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert containment.abandoned_tasks() == 1
    release.set()
    await over.wait()


async def test_what_confirm_raises_ends_the_batch_and_the_other_tools() -> None:
    gate = Gate("a")
    asking = Gate("asks", requires_confirmation=True)

    async def confirm(asked: ConfirmationAsked) -> Decision:
        await gate.started.wait()
        raise LookupError("the approver is closed")

    calls = [OpenCall(wish("a")), OpenCall(wish("asks"))]
    with pytest.raises(LookupError, match="the approver is closed"):
        async with aclosing(run_calls(calls, Toolbox([gate.tool, asking.tool]), confirm)) as steps:
            async for _ in steps:
                pass
    assert gate.cancelled.is_set()


async def test_only_so_many_tools_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "AT_ONCE", 2)
    at_work, most = 0, 0

    async def work() -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1

    calls = [OpenCall(ToolCall(f"call_{n}", "work", "{}")) for n in range(10)]
    run = run_calls(calls, Toolbox([FunctionTool(work)]), refuse_to_be_asked)
    async with aclosing(run) as steps:
        finished = only(ToolFinished, [step async for step in steps])
    assert [step.step_id for step in finished] == [f"call_{n}" for n in range(10)]
    assert most == 2


async def test_no_calls_are_no_steps() -> None:
    async with aclosing(run_calls([], Toolbox([]), refuse_to_be_asked)) as steps:
        assert [step async for step in steps] == []


async def test_a_step_that_is_taken_is_told_once() -> None:
    gate = Gate("a")
    gate.open.set()
    run = run_calls([OpenCall(wish("a"))], Toolbox([gate.tool]), refuse_to_be_asked)
    async with aclosing(run) as steps:
        seen = [step async for step in steps]
    assert one(ToolStarted, seen).step_id == one(ToolFinished, seen).step_id == "call_a"
