"""Spans that a tool's code makes with OpenTelemetry."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from myagent import inner_spans, span_collection, span_ids
from myagent.inner_spans import InnerSpan, InnerSpans, RunPlace
from myagent.messages import ToolCall
from myagent.span_collection import collecting
from myagent.steps import OpenCall, ToolFinished
from myagent.tool import tool
from myagent.tool.batch import run_calls
from myagent.tool.toolbox import Toolbox
from tests.myagent.runs import refuse_to_be_asked

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PLACE = RunPlace("01a1fc3e-d0fe-74cb-9806-35bdcf0c8568", 2, "")
TRACER = trace.get_tracer("an agent's file")


def collected(work: Callable[[], Any], place: RunPlace | None = PLACE) -> list[InnerSpan]:
    """What is heard of `work` as a tool's."""
    return all_of(work, place).kept


def all_of(work: Callable[[], Any], place: RunPlace | None = PLACE) -> InnerSpans:
    def run() -> InnerSpans:
        if place is not None:
            span_collection.enter(place)
        with collecting("call_1") as spans:
            work()
        return spans

    return copy_context().run(run)


def nested() -> None:
    with TRACER.start_as_current_span("outer", attributes={"rows": 3, "of": ["a", "b"]}):
        try:
            with TRACER.start_as_current_span("inner"):
                raise ValueError("no such table")
        except ValueError:
            pass


def test_spans_are_heard_of_with_their_parents_first() -> None:
    outer, inner = collected(nested)
    assert (outer.name, outer.parent_id, outer.status) == ("outer", "", "success")
    assert outer.attributes == {"rows": 3, "of": '["a", "b"]'}
    assert (inner.name, inner.parent_id, inner.status) == ("inner", outer.span_id, "error")
    assert inner.error == "ValueError: no such table"
    assert 0 <= outer.offset_ms <= inner.offset_ms
    assert inner.duration_ms <= outer.duration_ms


def test_they_belong_to_the_tool_of_the_run_and_to_its_clients_trace() -> None:
    seen: list[Any] = []

    def look() -> None:
        with TRACER.start_as_current_span("call") as span:
            seen.append((span.get_span_context().trace_id, span.parent.span_id))  # type: ignore[attr-defined]

    collected(look)
    collected(look, RunPlace(PLACE.run_id, 2, PARENT))
    tool_id = int(span_ids.tool_id(PLACE.run_id, "call_1", 2), 16)
    assert seen == [
        (0x01A1FC3ED0FE74CB980635BDCF0C8568, tool_id),
        (0x0AF7651916CD43DD8448EB211C80319C, tool_id),
    ]


def test_outside_a_run_there_are_none() -> None:
    assert collected(nested, None) == []


def test_what_ends_after_the_tool_is_left_out() -> None:
    late: list[Any] = []
    assert collected(lambda: late.append(TRACER.start_span("late"))) == []
    late[0].end()


def test_there_is_a_limit_to_all_of_it() -> None:
    def chatter() -> None:
        for _ in range(inner_spans.MOST_SPANS + 5):
            with TRACER.start_as_current_span("n" * 1000) as span:
                for number in range(100):
                    span.set_attribute(f"{number}" * 100, "v" * 5000)

    spans = collected(chatter)
    assert len(spans) == inner_spans.MOST_SPANS
    assert {len(span.name) for span in spans} == {inner_spans.MOST_NAME}
    assert max(len(span.attributes) for span in spans) <= inner_spans.MOST_ATTRIBUTES
    sizes = [len(key) + len(str(value)) for span in spans for key, value in span.attributes.items()]
    assert 0 < sum(sizes) <= inner_spans.MOST_ATTRIBUTE_CHARACTERS


def test_of_too_many_the_outer_ones_are_kept_and_the_others_counted() -> None:
    def chatter() -> None:
        with TRACER.start_as_current_span("all", attributes={"rows": 3}):
            for _ in range(5):
                with TRACER.start_as_current_span("part"):
                    for _ in range(100):
                        with TRACER.start_as_current_span("row", attributes={"v": "v" * 1000}):
                            pass

    found = all_of(chatter)
    names = Counter(span.name for span in found.kept)
    assert names == {"all": 1, "part": 5, "row": inner_spans.MOST_SPANS - 6}
    assert found.left_out == 506 - inner_spans.MOST_SPANS
    known = {span.span_id for span in found.kept} | {""}
    assert {span.parent_id for span in found.kept} <= known
    assert found.kept[0].name == "all"
    # The first to end are those of rows, which take all the room there is for attributes.
    sizes = [len(str(value)) for span in found.kept for value in span.attributes.values()]
    assert sum(sizes) <= inner_spans.MOST_ATTRIBUTE_CHARACTERS


def test_spans_of_many_threads_are_counted_as_well() -> None:
    def chatter() -> None:
        def rows() -> None:
            for _ in range(100):
                with TRACER.start_as_current_span("row"):
                    pass

        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(copy_context().run, rows)

    found = all_of(chatter)
    assert (len(found.kept), found.left_out) == (inner_spans.MOST_SPANS, 200)


def test_the_agents_own_exporter_gets_them_too() -> None:
    collected(nested)
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert len(collected(nested)) == 2
    assert [span.name for span in exporter.get_finished_spans()] == ["inner", "outer"]


@tool
def count(rows: int) -> str:
    """Counts, in a thread of its own."""
    with TRACER.start_as_current_span(f"count {rows}"):
        return str(rows)


async def test_tools_that_run_at_the_same_time_have_their_own() -> None:
    async def run() -> dict[str, list[str]]:
        span_collection.enter(PLACE)
        calls = [OpenCall(ToolCall(f"c{n}", "count", f'{{"rows": {n}}}')) for n in range(3)]
        steps = run_calls(calls, Toolbox([count]), refuse_to_be_asked)
        found = [step async for step in steps if isinstance(step, ToolFinished)]
        return {step.step_id: [span.name for span in step.spans] for step in found}

    assert await asyncio.create_task(run()) == {f"c{n}": [f"count {n}"] for n in range(3)}


def test_a_traceparent_that_is_not_valid_is_none() -> None:
    parse = span_ids.TraceParent.parse
    assert str(parse(f" {PARENT}\n")) == PARENT
    # A later version may say more.
    assert parse(f"cc{PARENT[2:]}-what-comes") is not None
    zeros = f"00-{'0' * 32}-{'1' * 16}-01"
    for text in (None, "", "nonsense", PARENT.upper(), f"ff{PARENT[2:]}", zeros, PARENT[:-1]):
        assert parse(text) is None, text
