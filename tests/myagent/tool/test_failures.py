"""Exceptions of foreign code, in results and in the log."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from myagent import log_context
from myagent.tool import tool
from myagent.tool.containment import run_tool
from myagent.tool.failures import CAUSES_TOLD, described

HERE = Path(__file__).name


@tool
def pay(amount: int) -> str:
    secret = f"sk-{amount}-secret"
    if len(secret) > 3:
        raise ValueError("no money")
    return secret


async def raised(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    with caplog.at_level(logging.WARNING):
        assert (await run_tool(pay, {"amount": 7})).is_error
    (record,) = caplog.records
    return record


async def test_a_tool_that_raises_is_told_in_one_line_that_names_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_context.enter("s-1", "r-1")
    line = (await raised(caplog)).getMessage()
    assert line.startswith(
        "tool_raised session_id='s-1' run_id='r-1' tool='pay' error='ValueError: no money' "
        f"at='{HERE}:"
    )
    assert line.endswith(" in pay'")
    assert "\n" not in line


async def test_outside_a_run_the_line_names_the_tool(caplog: pytest.LogCaptureFixture) -> None:
    async def alone() -> str:
        return (await raised(caplog)).getMessage()

    assert (await asyncio.create_task(alone())).startswith("tool_raised tool='pay' error=")


async def test_the_traceback_begins_with_the_tool_and_shows_no_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = await raised(caplog)
    shown = logging.Formatter().format(record)
    assert "running.py" not in shown
    assert "sk-7-secret" not in shown
    assert shown.endswith("ValueError: no money")
    assert len(shown.splitlines()) < 8


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise OSError("deep")


async def test_a_long_traceback_is_shortened_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await run_tool(tool(deep), {"levels": 300})
    shown = logging.Formatter().format(caplog.records[0])
    assert len(shown.splitlines()) < 25


def grouped(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("several", list(errors))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            grouped(ValueError("bad city"), KeyError("zip")),
            "ExceptionGroup: several (2 sub-exceptions): ValueError: bad city; KeyError: 'zip'",
        ),
        (
            grouped(grouped(OSError("disk full")), TimeoutError()),
            "ExceptionGroup: several (2 sub-exceptions): ExceptionGroup: several "
            "(1 sub-exception): OSError: disk full; TimeoutError",
        ),
    ],
)
def test_a_group_tells_its_causes(error: Exception, words: str) -> None:
    assert described(error) == words


def test_a_large_group_tells_the_first_ones() -> None:
    words = described(grouped(*(ValueError(str(number)) for number in range(1000))))
    assert words.endswith(f"ValueError: {CAUSES_TOLD - 1}; and {1000 - CAUSES_TOLD} more")


def test_groups_in_each_other_come_to_an_end() -> None:
    error: Exception = ValueError("innermost")
    for _ in range(500):
        error = grouped(error)
    assert len(described(error)) < 1000


async def test_a_tool_with_a_task_group_tells_the_model_what_failed() -> None:
    @tool
    async def both() -> None:
        async def fail(error: Exception) -> None:
            raise error

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(ValueError("bad city")))
            tasks.create_task(fail(KeyError("zip")))

    error = (await run_tool(both, {})).error
    assert "ValueError: bad city" in error
    assert "KeyError: 'zip'" in error
