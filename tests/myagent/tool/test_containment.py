from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from myagent.tool import BaseTool, FunctionTool, ToolResult, containment
from myagent.tool.containment import (
    abandoned_tasks,
    abandoned_threads,
    contained,
    in_thread,
    run_tool,
)


async def result_of(execute: Callable[[], Any], **options: Any) -> ToolResult:
    return await run_tool(FunctionTool(execute, name="tested", **options), {})


def raising(error: BaseException) -> Callable[[], Any]:
    def execute() -> None:
        raise error

    return execute


def raising_async(error: BaseException) -> Callable[[], Any]:
    async def execute() -> None:
        raise error

    return execute


@pytest.mark.parametrize(
    ("returned", "output", "error"),
    [
        (ToolResult(output="fine"), "fine", None),
        (ToolResult("fine"), "fine", None),
        (ToolResult(error="bad"), None, "bad"),
        (ToolResult(error=ValueError("bad")), None, "bad"),
        (ToolResult(output="half", error="bad"), None, "bad\nhalf"),
        (ToolResult(success=True, content={"a": 1}), '{"a":1}', None),
        (ToolResult(success=True, content="fine", error=""), "fine", None),
        (ToolResult(success=False, content="bad"), None, "bad"),
        (ToolResult(success=False), None, "The tool failed without saying why."),
        (ToolResult(), "", None),
        (None, "", None),
        (0, "0", None),
        ([1, {"a": None}], '[1,{"a":null}]', None),
        ("half \ud800", "half �", None),
    ],
)
async def test_whatever_a_tool_returns_becomes_text(
    returned: Any, output: str | None, error: str | None
) -> None:
    result = await result_of(lambda: returned)
    assert (result.output, result.error) == (output, error)


@pytest.mark.parametrize("make", [raising, raising_async])
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("bad city"), "ValueError: bad city"),
        (ValueError(), "ValueError"),
        (StopIteration(1), "StopIteration"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (asyncio.CancelledError(), "CancelledError"),
        (TimeoutError("mine"), "TimeoutError: mine"),
    ],
)
async def test_whatever_a_tool_raises_is_a_tool_error(
    make: Callable[[BaseException], Any], error: BaseException, sentence: str
) -> None:
    result = await result_of(make(error))
    assert result.is_error
    assert result.error.startswith("The tool failed: ")
    assert sentence in result.error


async def test_a_plain_tool_runs_in_a_thread_of_its_own_with_the_callers_context() -> None:
    who = contextvars.ContextVar("who", default="nobody")
    who.set("the caller")
    result = await result_of(lambda: [threading.current_thread().daemon, who.get()])
    assert result.output == '[true,"the caller"]'


async def test_a_plain_tool_may_return_something_to_await() -> None:
    async def later() -> str:
        return "later"

    assert (await result_of(lambda: later())).output == "later"


async def test_a_tool_out_of_time_is_cancelled_and_is_a_tool_error() -> None:
    cancelled = asyncio.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    result = await result_of(endless, timeout_s=0.01)
    assert "did not finish within 0.01 s" in result.error
    assert cancelled.is_set()


async def test_a_tool_may_have_no_limit_of_time() -> None:
    assert (await result_of(lambda: "x", timeout_s=None)).output == "x"


async def test_a_stuck_thread_is_abandoned_and_counted_until_it_ends() -> None:
    release = threading.Event()
    before = abandoned_threads()
    result = await result_of(release.wait, timeout_s=0.01)
    assert "did not finish" in result.error
    assert abandoned_threads() == before + 1
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("myagent:"):
            thread.join()
    assert abandoned_threads() == before


async def test_stuck_threads_do_not_keep_others_from_running() -> None:
    release = threading.Event()
    stuck = [asyncio.create_task(result_of(release.wait)) for _ in range(50)]
    assert (await result_of(lambda: "free")).output == "free"
    release.set()
    await asyncio.gather(*stuck)


def test_a_stuck_thread_does_not_keep_the_process_from_ending() -> None:
    program = """
import asyncio, threading
from myagent.tool import FunctionTool
from myagent.tool.containment import run_tool
stuck = FunctionTool(threading.Event().wait, name="stuck", timeout_s=0.01)
print(asyncio.run(run_tool(stuck, {})).is_error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "True\n")


async def test_cancelling_the_caller_cancels_the_tool_and_waits_for_it() -> None:
    started, cleaned = asyncio.Event(), asyncio.Event()

    async def execute() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    task = asyncio.create_task(result_of(execute))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_a_tool_that_ignores_its_cancellation_is_abandoned(
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
        raise ValueError("nobody listens any more")

    task = asyncio.create_task(result_of(stubborn))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert abandoned_tasks() == 1
    release.set()
    await over.wait()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert abandoned_tasks() == 0


async def test_a_thread_may_end_after_its_caller_has_left() -> None:
    release, over = threading.Event(), threading.Event()

    def work() -> None:
        release.wait()
        over.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await asyncio.to_thread(over.wait)


async def test_contained_work_gives_its_value() -> None:
    async def work() -> int:
        return 3

    assert await contained(work()) == 3


async def test_a_result_that_lies_about_itself_is_a_tool_error() -> None:
    class Liar(ToolResult):
        @property
        def parts(self) -> Any:
            raise RuntimeError("no parts")

    result = await result_of(lambda: Liar())
    assert "unusable result: RuntimeError: no parts" in result.error


async def test_a_tool_with_an_own_init_needs_no_call_of_the_base_class() -> None:
    class Own(BaseTool):
        name = "own"

        def __init__(self, word: str) -> None:
            self.word = word

        async def execute(self) -> str:
            return self.word

    assert (await run_tool(Own("hi"), {})).output == "hi"
