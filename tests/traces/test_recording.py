"""What a run's trace and spans hold, at each moment of the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, models

from agents.log import recorders
from myagent.inner_spans import InnerSpan
from myagent.models.base import Usage
from myagent.worker.protocol import AgentInfo
from tests.traces.recorded import Story
from traces import content
from traces.checks import check_redact
from traces.exporting import conventions
from traces.live.messages import Inside, messages_of
from traces.models import MAX_EXCERPT, Price, Span, Trace, Waiting
from traces.reading.describing import spans_json, spans_of
from traces.recording import prices, statements
from traces.recording import spans as spans_of_rows
from traces.recording.recorder import TraceRecorder

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def the_trace() -> Trace:
    return Trace.objects.get()


def spans() -> list[tuple[str, str, str, bool]]:
    rows = Span.objects.order_by("pk")
    return [(span.kind, span.name, span.status, span.ended_at is None) for span in rows]


def test_a_run_is_told_as_it_goes_on() -> None:
    story = Story(principal="user:1")
    ref = story.ask("What is new?")
    trace = the_trace()
    assert (trace.pk, trace.session_id, trace.service) == (ref.run_id, story.session_id, "tested")
    assert (trace.principal, trace.agent, trace.model) == ("user:1", "helper", "gpt-large")
    assert (trace.status, trace.request, trace.max_steps) == ("running", "What is new?", 5)
    assert spans() == [("think", "gpt-large", "running", True)]
    story.think(ref, "search")
    assert spans() == [("think", "gpt-large", "success", False)]
    story.work(ref, "search", "error", "It is down.")
    assert spans() == [
        ("think", "gpt-large", "success", False),
        ("tool", "search", "error", False),
        ("think", "gpt-large", "running", True),
    ]
    story.answer(ref, "Nothing.")
    trace = the_trace()
    assert (trace.status, trace.answer, trace.duration_ms) == ("answered", "Nothing.", 200)
    assert (trace.steps, trace.span_count, trace.error_count) == (2, 3, 1)
    assert (trace.prompt_tokens, trace.completion_tokens) == (110, 22)
    assert trace.ended_at is not None and trace.cost_nano is None
    assert not Span.objects.filter(ended_at=None).exists()
    tool = Span.objects.get(kind="tool")
    assert (tool.step, tool.error, tool.duration_ms) == (1, "It is down.", 7)
    assert (tool.start_seq, tool.end_seq) == (4, 5)
    think = Span.objects.filter(kind="think").first()
    assert think is not None and (think.first_token_ms, think.duration_ms) == (9, 40)


def test_a_failure_ends_what_was_under_way() -> None:
    story = Story()
    story.fail(story.ask("a"), "The model is away.")
    trace = the_trace()
    told = (trace.status, trace.error_type, trace.error, trace.error_count)
    assert told == ("failed", "model_error", "The model is away.", 1)
    assert spans() == [("think", "gpt-large", "error", False)]
    assert Span.objects.get().error == "The model is away."


def test_an_interruption_is_no_error() -> None:
    story = Story()
    story.interrupt(story.ask("a"))
    assert (the_trace().status, the_trace().error_count) == ("interrupted", 0)
    assert spans() == [("think", "gpt-large", "cancelled", False)]


def test_an_agent_that_is_not_to_be_traced_leaves_nothing() -> None:
    silent = AgentInfo("helper", model="gpt-large", enable_tracing=False)
    story = Story(agent=silent)
    story.answer(story.ask("a"), "b", step=1)
    # Before the first worker, the agent's file has not been read yet.
    story.agent = None
    ref = story.ask("c")
    story.agent = silent
    story.answer(ref, "d", step=1)
    assert (Trace.objects.count(), Span.objects.count()) == (0, 0)


def test_a_site_that_traces_nothing_records_nothing(settings: Any) -> None:
    settings.MYAGENT_TRACING = False
    story = Story()
    story.answer(story.ask("a"), "b", step=1)
    assert (Trace.objects.count(), Span.objects.count()) == (0, 0)


def hide(text: str) -> str:
    return text.replace("4711", "****")


def fail_at(text: str) -> Any:
    """A hook that can't do everything."""
    if "RAISE" in text:
        raise ValueError(f"can't hide {text}")
    return None if "NONE" in text else text


def names() -> list[str]:
    return list(Span.objects.exclude(kind="think").order_by("pk").values_list("name", flat=True))


@pytest.fixture
def hook(settings: Any) -> Iterator[Any]:
    content.redact.cache_clear()
    yield settings
    content.redact.cache_clear()


@pytest.mark.parametrize(
    ("setting", "redact", "request_", "error"),
    [
        ("on", "", "My number is 4711.", "4711?"),
        ("redacted", f"{__name__}.hide", "My number is ****.", "****?"),
        ("redacted", "", "•••", "•••"),
        ("off", "", "", ""),
    ],
)
def test_what_people_say_is_kept_as_the_operator_wants(
    hook: Any, setting: str, redact: str, request_: str, error: str
) -> None:
    hook.MYAGENT_TRACE_CONTENT, hook.MYAGENT_TRACE_REDACT = setting, redact
    story = Story()
    ref = story.ask("My number is 4711.")
    story.think(ref, "search")
    story.work(ref, "search", "error", "4711?")
    story.answer(ref, "My number is 4711.")
    trace = the_trace()
    assert (trace.content, trace.request, trace.answer) == (setting, request_, request_)
    assert Span.objects.get(kind="tool").error == error


@pytest.mark.parametrize("word", ["RAISE", "NONE"])
def test_a_text_that_the_hook_fails_on_is_hidden_and_nothing_else_is_missing(
    hook: Any, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook.MYAGENT_TRACE_CONTENT, hook.MYAGENT_TRACE_REDACT = "redacted", f"{__name__}.fail_at"
    story = Story()
    ref = story.ask(f"{word} 4711")
    story.think(ref, "search")
    story.work(ref, "search", "success", f"{word} 4712")
    story.answer(ref, "fine")
    trace = the_trace()
    assert (trace.request, trace.answer, trace.steps) == ("•••", "fine", 2)
    think, tool, _ = spans_json(trace, list(spans_of(trace)))
    assert think["inputs"]["messages"][0] == {"role": "user", "content": "•••"}
    assert (tool["inputs"], tool["outputs"]) == ({"args": {"a": 1}}, {"result": "•••"})
    assert word not in caplog.text


@pytest.mark.parametrize(
    ("setting", "redact", "shown"),
    [
        ("on", "", ["tool_4711", "GET /4711"]),
        ("redacted", f"{__name__}.hide", ["tool_****", "GET /****"]),
        ("off", "", ["•••", "•••"]),
    ],
)
def test_names_that_were_made_of_what_was_said_are_texts(
    hook: Any, setting: str, redact: str, shown: list[str]
) -> None:
    hook.MYAGENT_TRACE_CONTENT, hook.MYAGENT_TRACE_REDACT = setting, redact
    story = Story()
    ref = story.ask("hello")
    story.think(ref, "tool_4711")
    part = replace(QUERY, name="GET /4711")
    story.work(ref, "tool_4711", "error", "There is no such tool.", spans=[part])
    assert names() == shown
    story.think(ref, "search", step=2)
    story.work(ref, "search", "success", "rows", step=2)
    assert names()[2:] == ["search"], "one that there is says nothing"


def test_a_number_that_the_hook_leaves_alone_stays_one(hook: Any) -> None:
    hook.MYAGENT_TRACE_CONTENT, hook.MYAGENT_TRACE_REDACT = "redacted", f"{__name__}.hide"
    story = Story()
    ref = story.ask("hello")
    story.think(ref, "search")
    part = replace(QUERY, attributes={"rows": 3, "card": 4711, "is_new": True})
    story.work(ref, "search", "success", "rows", spans=[part])
    assert Span.objects.get(kind="work").attributes == '{"rows":3,"card":"****","is_new":true}'


@pytest.mark.parametrize("path", ["no.such.function", "math.sqrt", f"{__name__}.spans"])
def test_a_hook_that_does_not_work_is_told_before_anything_starts(hook: Any, path: str) -> None:
    hook.MYAGENT_TRACE_REDACT = path
    (error,) = check_redact()
    assert "MYAGENT_TRACE_REDACT names no function" in error.msg


@pytest.mark.parametrize("setting", ["on", "off", "redacted"])
def test_a_hook_that_new_traces_do_not_ask_is_warned_of(hook: Any, setting: str) -> None:
    hook.MYAGENT_TRACE_CONTENT = setting
    assert check_redact() == []
    hook.MYAGENT_TRACE_REDACT = f"{__name__}.hide"
    found = check_redact()
    assert [each.id for each in found] == (["myagent.W020"] if setting == "on" else [])
    assert all("MYAGENT_TRACE_CONTENT=redacted" in each.msg for each in found)


def test_a_long_question_is_cut() -> None:
    Story().ask("é" * 1_000_000)
    request = the_trace().request
    assert len(request) == MAX_EXCERPT and request.endswith("é…")


def test_replies_cost_what_the_prices_said_then() -> None:
    Price.objects.create(
        model="gpt-*", valid_from=datetime(2020, 1, 1, tzinfo=UTC), prompt=9, completion=9
    )
    Price.objects.create(
        model="gpt-large",
        valid_from=datetime(2020, 1, 1, tzinfo=UTC),
        prompt=Decimal("2.5"),
        completion=10,
    )
    Price.objects.create(
        model="gpt-large", valid_from=datetime(2999, 1, 1, tzinfo=UTC), prompt=99, completion=99
    )
    recorder = TraceRecorder()
    recorder.prices = prices.load()
    story = Story(recorder)
    ref = story.ask("a")
    story.think(ref, "search", usage=Usage(1_000, 100))
    story.work(ref, "search", "success", "found")
    story.answer(ref, "b", usage=Usage(2_000, 10))
    # (1,000 × 2.5 + 100 × 10 + 2,000 × 2.5 + 10 × 10) / 1,000,000
    assert the_trace().cost_nano == 8_600_000
    costs = Span.objects.filter(kind="think").values_list("cost_nano", flat=True)
    assert sorted(costs) == [3_500_000, 5_100_000]


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
QUERY = InnerSpan("00000000000000aa", "", "query", 2.0, 3.0, attributes={"rows": 3, "of": "users"})
LOOKUP = InnerSpan("00000000000000bb", QUERY.span_id, "lookup", 2.5, 1.0, "error", "no such host")


def test_what_a_tool_recorded_of_its_work_is_part_of_it() -> None:
    story = Story()
    ref = story.ask("What is new?", PARENT)
    story.think(ref, "search")
    story.work(ref, "search", "success", "rows", spans=[QUERY, LOOKUP])
    assert the_trace().traceparent == PARENT
    tool = Span.objects.get(kind="tool")
    query, lookup = Span.objects.filter(kind="work").order_by("pk")
    assert (query.span_id, query.parent_id, query.status) == (
        QUERY.span_id, tool.span_id, "success",
    )  # fmt: skip
    assert (lookup.parent_id, lookup.status, lookup.error) == (
        QUERY.span_id, "error", "no such host",
    )  # fmt: skip
    # The tool worked for 7 ms.
    assert tool.ended_at is not None
    assert tool.ended_at - query.started_at == timedelta(milliseconds=5)
    shown = {span["span_id"]: span for span in spans_json(the_trace(), list(spans_of(the_trace())))}
    assert shown[QUERY.span_id]["attributes"] == {"rows": 3, "of": "users"}
    assert shown[QUERY.span_id]["parent_span_id"] == tool.span_id
    assert shown[LOOKUP.span_id]["attributes"] is None
    # Steps are the model's and its tools' alone.
    assert (the_trace().span_count, the_trace().error_count) == (2, 0)


def test_a_part_whose_parent_was_left_out_is_below_its_tool_which_says_how_many_were() -> None:
    story = Story()
    ref = story.ask("What is new?")
    story.think(ref, "search")
    story.work(ref, "search", "success", "rows", spans=[LOOKUP], spans_left_out=301)
    story.answer(ref, "nothing")
    trace = the_trace()
    found = list(spans_of(trace))
    tool = Span.objects.get(kind="tool")
    shown = {span["span_id"]: span for span in spans_json(trace, found)}
    assert shown[LOOKUP.span_id]["parent_span_id"] == tool.span_id
    assert shown[tool.span_id]["attributes"] == {"myagent.parts_left_out": 301}
    told = {
        message.data["run_id"]: message.data
        for message in messages_of(trace, found, Inside())
        if message.event_type in ("tool_completed", "work_completed")
    }
    assert told[LOOKUP.span_id]["parent_run_id"] == tool.span_id
    assert told[tool.span_id]["metadata"]["parts_left_out"] == 301
    sent = {span.span_id: span for span in conventions.spans_of(trace, found, {}, "USD")}
    assert sent[LOOKUP.span_id].parent_id == tool.span_id
    assert sent[tool.span_id].attributes["myagent.parts_left_out"] == 301


def test_no_part_of_a_tool_s_work_moves_a_step() -> None:
    story = Story()
    ref = story.ask("What is new?")
    story.think(ref, "search")
    reply = Span.objects.get()
    stolen = replace(QUERY, span_id=reply.span_id)
    story.work(ref, "search", "success", "rows", spans=[stolen, QUERY, QUERY])
    reply.refresh_from_db()
    assert (reply.kind, reply.name) == ("think", "gpt-large")
    assert Span.objects.filter(kind="work").count() == 1


@pytest.mark.parametrize(
    ("content", "attributes"), [("off", None), ("redacted", '{"rows":"•••","of":"•••"}')]
)
def test_what_is_in_it_is_hidden_as_all_else_is(
    settings: Any, content: str, attributes: str | None
) -> None:
    settings.MYAGENT_TRACE_CONTENT = content
    story = Story()
    ref = story.ask("What is new?")
    story.think(ref, "search")
    story.work(ref, "search", "success", "rows", spans=[QUERY, LOOKUP])
    query, lookup = Span.objects.filter(kind="work").order_by("pk")
    assert (query.name, query.attributes) == ("•••", attributes)
    assert "no such host" not in lookup.error


def test_the_plain_sql_knows_every_column() -> None:
    def columns(model: type[models.Model]) -> set[str]:
        return {field.column for field in model._meta.local_concrete_fields}

    # A step has none of what a tool's code says of a part of its work.
    of_parts = {"parent_id", "attributes"}
    assert set(statements.SPAN_COLUMNS) == columns(Span) - {"id"} - of_parts
    assert of_parts < set(statements.PART_COLUMNS) < columns(Span)
    # These have no value at the start.
    later = {"cost_nano", "ended_at", "duration_ms"}
    # A run that runs again has its trace before it begins.
    of_reruns = {"rerun_of", "rerun_step"}
    assert set(statements.TRACE_COLUMNS) == columns(Trace) - later - of_reruns
    assert set(statements.WAITING_COLUMNS) == columns(Waiting)


@pytest.mark.parametrize("microsecond", [0, 7_000])
def test_moments_are_written_as_the_database_wants_them(microsecond: int) -> None:
    at = datetime(2026, 3, 1, 4, 5, 6, microsecond, tzinfo=UTC)
    assert spans_of_rows.adapted(at) == str(connection.ops.adapt_datetimefield_value(at))


def test_a_reply_without_a_price_leaves_what_others_cost() -> None:
    recorder = TraceRecorder()
    since = datetime(2020, 1, 1, tzinfo=UTC)
    Price.objects.create(model="gpt-large", valid_from=since, prompt=1, completion=1)
    recorder.prices = prices.load()
    story = Story(recorder)
    ref = story.ask("a")
    story.think(ref, "search", usage=Usage(1_000, 0))
    recorder.prices = prices.PriceList()
    story.work(ref, "search", "success", "found")
    story.answer(ref, "b")
    assert the_trace().cost_nano == 1_000_000


def test_the_site_records() -> None:
    recorders.configured.cache_clear()
    assert [type(each) for each in recorders.configured()] == [TraceRecorder]
