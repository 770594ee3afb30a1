"""Runs foreign code within limits, and contains whatever it raises.

These are wrappers around each other: a plain function in a thread, a time limit around any work,
and a tool's call that always ends in a result.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import update_wrapper
from typing import Any
from weakref import WeakSet

from myagent.tool.base_tool import BaseTool, ToolResult
from myagent.tool.failures import EscapedError, described, log_raised
from myagent.tool.iterating import may_block, read_async, read_item, read_result, text_of_parts
from myagent.tool.text import text_of

CANCEL_GRACE_S = 1.0
"""How long work may go on after it was cancelled, before it is abandoned."""

logger = logging.getLogger(__name__)

_abandoned_threads: WeakSet[threading.Thread] = WeakSet()
_abandoned_tasks: set[asyncio.Task[Any]] = set()


class OutOfTimeError(Exception):
    """The work took longer than it may."""


def abandoned_threads() -> int:
    """The number of abandoned threads that are still running."""
    return sum(thread.is_alive() for thread in list(_abandoned_threads))


def abandoned_tasks() -> int:
    """The number of cancelled tasks that are still running."""
    return len(_abandoned_tasks)


async def in_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Runs a plain function in a daemon thread of its own.

    So a function that never returns takes no place in a pool and keeps no
    process from ending. Cancelling is safe: the thread is abandoned and counted.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    context = copy_context()

    def deliver(value: Any, error: BaseException | None) -> None:
        if not done.done():
            done.set_result((value, error))

    def work() -> None:
        value, error = None, None
        try:
            value = context.run(function, *args, **kwargs)
        except BaseException as raised:  # SystemExit and the like belong to the caller too
            error = raised
        try:
            loop.call_soon_threadsafe(deliver, value, error)
        except RuntimeError:
            logger.debug("a thread ended after its loop was closed")

    name = getattr(function, "__qualname__", type(function).__name__)
    thread = threading.Thread(target=work, name=f"myagent:{name}", daemon=True)
    thread.start()
    try:
        value, error = await done
    except asyncio.CancelledError:
        _abandoned_threads.add(thread)
        raise
    if error is not None:
        raise error
    return value


async def contained(work: Coroutine[Any, Any, Any], limit_s: float | None = None) -> Any:
    """Runs work in a task of its own; whatever it raises comes out as an `Exception`.

    Raises `OutOfTimeError` after `limit_s` seconds, `EscapedError` for what
    would end a program or look like a cancellation. Cancelling is safe: the
    work is cancelled, given `CANCEL_GRACE_S` to end, then abandoned.
    """
    task = asyncio.create_task(_without_exits(work))
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        await _stop(task)
        raise
    if not done:
        await _stop(task)
        raise OutOfTimeError
    if task.cancelled():
        raise EscapedError("CancelledError")
    error = task.exception()
    if error is not None and not isinstance(error, Exception):
        raise EscapedError(described(error)) from error
    return task.result()


async def _without_exits(work: Coroutine[Any, Any, Any]) -> Any:
    # Out of a task these two would end the event loop itself.
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise EscapedError(described(error)) from error


async def _stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    _abandoned_tasks.add(task)
    task.add_done_callback(_let_go)
    await asyncio.wait({task}, timeout=CANCEL_GRACE_S)


def _let_go(task: asyncio.Task[Any]) -> None:
    _abandoned_tasks.discard(task)
    if not task.cancelled() and (error := task.exception()):
        logger.debug("work failed after it was cancelled", exc_info=error)


async def run_tool(tool: BaseTool, args: dict[str, Any]) -> ToolResult:
    """One call of a tool; a failure of any kind is a result as well.

    The result has either `output` or `error`, as text. Raises only
    `CancelledError`, when the caller is cancelled; cancelling is safe.
    """
    try:
        value = await contained(_execute(tool, args), tool.timeout_s)
    except OutOfTimeError:
        return ToolResult(
            error=f"The tool did not finish within {tool.timeout_s:g} s and was stopped; "
            "whether it had an effect is not known."
        )
    except Exception as error:
        log_raised(logger, tool.name, error)
        return ToolResult(error=f"The tool failed: {described(error)}")
    return _as_text(value)


async def _execute(tool: BaseTool, args: dict[str, Any]) -> Any:
    """The return value with its iterators read: in a thread, because they may block."""
    is_over = threading.Event()
    try:
        if inspect.iscoroutinefunction(tool.execute):
            return await _read(await tool.execute(**args), is_over)

        def work() -> Any:
            return read_result(tool.execute(**args), lambda: not is_over.is_set())

        value = await in_thread(update_wrapper(work, tool.execute))
        if inspect.isawaitable(value):
            return await _read(await value, is_over)
        return await _read_async(value, is_over)
    finally:
        is_over.set()


async def read(value: Any) -> Any:
    """A result with its iterators read, in a thread where that may block.

    Exceptions of iterators are raised; cancelling is safe.
    """
    is_over = threading.Event()
    try:
        return await _read(value, is_over)
    finally:
        is_over.set()


async def _read(value: Any, is_over: threading.Event) -> Any:
    if may_block(value):
        value = await in_thread(read_result, value, lambda: not is_over.is_set())
    return await _read_async(value, is_over)


async def _read_async(value: Any, is_over: threading.Event) -> Any:
    async def read_one(item: Any) -> Any:
        def work() -> Any:
            return read_item(item, lambda: not is_over.is_set())

        plain = await in_thread(work) if may_block(item) else work()
        return await _read_async(plain, is_over)

    return await read_async(value, read_one)


def _as_text(value: Any) -> ToolResult:
    if not isinstance(value, ToolResult):
        return ToolResult(output=text_of(value))
    try:
        text = text_of_parts(value)
        is_error = value.is_error
    except Exception as error:
        return ToolResult(error=f"The tool gave an unusable result: {described(error)}")
    if is_error:
        return ToolResult(error=text or "The tool failed without saying why.")
    return ToolResult(output=text)
