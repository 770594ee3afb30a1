"""Generators and iterators as results: their items are read, within limits."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import orjson
import pytest

from myagent.tool import BaseTool, FunctionTool, ToolResult
from myagent.tool.containment import run_tool
from myagent.tool.iterating import MOST_ITEMS
from myagent.tool.text import TEXT_LIMIT


async def result_of(execute: Callable[..., Any], **options: Any) -> ToolResult:
    return await run_tool(FunctionTool(execute, name="tested", **options), {})


def plain() -> Iterator[str]:
    yield "row 1"
    yield "row 2"


async def asynchronous() -> AsyncIterator[str]:
    yield "row 1"
    await asyncio.sleep(0)
    yield "row 2"


async def returning_plain() -> Iterator[str]:
    return plain()


async def returning_asynchronous() -> AsyncIterator[str]:
    return asynchronous()


class Rows(BaseTool):
    name = "rows"

    async def execute(self) -> AsyncIterator[str]:
        yield "row 1"
        yield "row 2"


@pytest.mark.parametrize(
    "execute",
    [
        plain,
        asynchronous,
        returning_plain,
        returning_asynchronous,
        Rows().execute,
        lambda: map("row {}".format, [1, 2]),
        lambda: iter(["row 1", "row 2"]),
        lambda: ToolResult(output=plain()),
        lambda: ToolResult(success=True, content=plain()),
        lambda: ToolResult(output=asynchronous()),
        lambda: ToolResult(success=True, content=asynchronous()),
    ],
)
async def test_the_items_are_the_result(execute: Callable[..., Any]) -> None:
    assert (await result_of(execute)).output == '["row 1","row 2"]'


async def test_items_are_json_as_in_a_list() -> None:
    def rows() -> Iterator[Any]:
        yield from ({"n": 1}, None, 2.5, (1, "a"))

    assert (await result_of(rows)).output == '[{"n":1},null,2.5,[1,"a"]]'
    assert (await result_of(lambda: iter(()))).output == "[]"


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_an_endless_one_is_read_up_to_a_bound_and_closed(kind: str) -> None:
    is_closed = threading.Event()

    def numbers() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            is_closed.set()

    async def async_numbers() -> AsyncIterator[int]:
        for number in numbers():
            yield number

    result = await result_of(numbers if kind == "plain" else async_numbers, timeout_s=None)
    note, _, items = result.output.partition("\n")
    assert f"first {MOST_ITEMS} items" in note
    assert orjson.loads(items) == list(range(MOST_ITEMS))
    assert kind == "async" or is_closed.is_set()


async def test_large_items_are_read_up_to_the_size_of_a_result() -> None:
    taken = []

    def pages() -> Iterator[str]:
        for number in itertools.count():
            taken.append(number)
            yield "x" * (TEXT_LIMIT // 4)

    assert "Only the first 5 items" in (await result_of(pages)).output
    assert len(taken) == 5


async def test_what_it_raises_on_the_way_is_the_tool_s_failure() -> None:
    def rows() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    assert (await result_of(rows)).error == "The tool failed: ValueError: no more"


async def test_one_that_takes_too_long_is_stopped() -> None:
    has_ended, go_on = threading.Event(), threading.Event()

    def rows() -> Iterator[int]:
        try:
            yield 1
            go_on.wait()
            yield from itertools.count()
        finally:
            has_ended.set()

    assert "did not finish within 0.05 s" in (await result_of(rows, timeout_s=0.05)).error
    go_on.set()
    assert await asyncio.to_thread(has_ended.wait, 10), "an endless one is not read for ever"


async def test_one_that_blocks_does_not_block_the_loop() -> None:
    go_on = threading.Event()

    def rows() -> Iterator[str]:
        go_on.wait()
        yield threading.current_thread().name

    asyncio.get_running_loop().call_later(0.01, go_on.set)
    assert "MainThread" not in (await result_of(rows, timeout_s=10)).output


async def test_one_in_a_result_is_read_as_well() -> None:
    assert (await result_of(lambda: {"rows": (n for n in range(3))})).output == '{"rows":[0,1,2]}'
    assert (await result_of(lambda: [map(str, [1]), plain()])).output == (
        '[["1"],["row 1","row 2"]]'
    )
    endless = (await result_of(lambda: [itertools.count()])).output
    assert len(orjson.loads(endless)[0]) == MOST_ITEMS


async def test_an_asynchronous_one_in_a_result_is_read_as_well() -> None:
    async def endless() -> AsyncIterator[int]:
        for number in itertools.count():
            yield number

    @dataclasses.dataclass
    class Page:
        rows: Any

    given = {"rows": asynchronous(), "pages": [(1, Page(asynchronous()))]}
    rows = ["row 1", "row 2"]
    read = orjson.loads((await result_of(lambda: given)).output)
    assert read == {"rows": rows, "pages": [[1, {"rows": rows}]]}
    numbers = orjson.loads((await result_of(lambda: {"rows": endless()})).output)["rows"]
    assert numbers == list(range(MOST_ITEMS))


@pytest.mark.parametrize("is_async", [True, False])
async def test_one_inside_a_result_or_an_item_is_read_in_a_thread(*, is_async: bool) -> None:
    def name() -> Iterator[str]:
        yield threading.current_thread().name

    async def rows() -> dict[str, Any]:
        return {"rows": [{"by": name()}]}

    async def items() -> AsyncIterator[Any]:
        yield [name()]

    for execute in (rows, items) if is_async else (lambda: {"rows": (name(),)}, lambda: [name()]):
        output = (await result_of(execute)).output
        assert "myagent:" in output
        assert "MainThread" not in output


async def test_one_inside_a_result_that_blocks_is_stopped_in_time() -> None:
    go_on = threading.Event()

    def execute() -> Any:
        return {"rows": (go_on.wait() for _ in range(2))}

    assert "did not finish within 0.05 s" in (await result_of(execute, timeout_s=0.05)).error
    go_on.set()


async def test_items_are_read_once_and_kept_as_they_were() -> None:
    def rows() -> Iterator[Any]:
        row: dict[str, Any] = {}
        for number in range(2):
            row["n"] = number
            yield row
        yield {"a": iter([1, 2]), "b": Rows()}

    output = (await result_of(rows)).output
    assert output.startswith('[{"n":0},{"n":1},{"a":[1,2],"b":"<')


@pytest.mark.parametrize("is_part", [True, False])
async def test_a_result_among_the_items_counts_as_its_text_and_its_error(*, is_part: bool) -> None:
    def fine() -> Iterator[Any]:
        yield ToolResult(output={"n": iter([1])})
        yield "row"

    def failing() -> Iterator[Any]:
        yield "row"
        yield ToolResult(error="bad")

    async def async_failing() -> AsyncIterator[Any]:
        for item in failing():
            yield item

    def given(items: Any) -> Any:
        return ToolResult(output=items) if is_part else items

    assert (await result_of(lambda: given(fine()))).output == '["{\\"n\\":[1]}","row"]'
    for rows in failing, async_failing:
        assert (await result_of(lambda rows=rows: given(rows()))).error == 'bad\n["row"]'


async def test_a_result_that_holds_itself_or_a_dataclass_with_an_iterator_has_a_text() -> None:
    @dataclasses.dataclass
    class Page:
        rows: Any
        _hidden: int = 0

    ring: list[Any] = []
    ring.append(ring)
    assert "[...]" in (await result_of(lambda: ring)).output
    assert (await result_of(lambda: [Page(map(str, [1]))])).output == '[{"rows":["1"]}]'


async def test_a_text_and_a_list_are_no_iterators() -> None:
    assert (await result_of(lambda: "abc")).output == "abc"
    assert (await result_of(lambda: ["a"])).output == '["a"]'
