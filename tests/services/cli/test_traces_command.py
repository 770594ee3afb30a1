"""`manage.py traces`: what is typed, and what is answered, without a process."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone
from rich.console import Console

from services.cli.screen import RichScreen
from services.cli.span_tree import branches_of
from services.models import Service
from tests.traces.recorded import Story
from traces.models import Span, Trace
from traces.reading.finding import first_id

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def var_dir(tmp_path: Path, settings: LazySettings) -> None:
    settings.VAR_DIR = tmp_path


def traces(*arguments: str) -> str:
    output = io.StringIO()
    call_command("traces", *arguments, stdout=output)
    return output.getvalue()


def told(question: str, **story: str) -> str:
    found = Story(**story)  # type: ignore[arg-type]
    ref = found.ask(question)
    found.think(ref, "search")
    found.work(ref, "search", "error", "It is\ndown.")
    found.answer(ref, "Nothing.")
    return ref.run_id


def test_the_list_tells_what_each_run_took_and_filters() -> None:
    weather = told("Is it\nraining?", service="weather")
    failing = Story()
    failed = failing.ask("at \u202ework")
    failing.fail(failed, "no")
    rows = [line.split("\t") for line in traces("list").splitlines()]
    assert rows[0] == [
        *("trace", "status", "service", "started", "ms", "steps", "errors", "tokens", "cost"),
        *("feedback", "title"),
    ]
    assert [(row[0], row[1], row[4], row[7], row[10]) for row in rows[1:]] == [
        (failed.run_id, "failed", "200", "0", "at work"),
        (weather, "answered", "200", "132", "Is it raining?"),
    ]
    for option in (
        ("--service", "weather"),
        ("--status", "answered"),
        ("--text", "RAINING"),
        ("--since", "1h", "--text", "raining"),
        ("--session", Trace.objects.get(pk=weather).session_id),
    ):
        found = json.loads(traces("list", "--json", *option))
        assert [each["trace_id"] for each in found] == [weather]
    assert len(json.loads(traces("list", "--json", "--errors"))) == 2
    assert len(json.loads(traces("list", "--json", "-n", "1"))) == 1


def test_what_clients_said_of_answers_is_listed_shown_filtered_and_counted() -> None:
    story = Story(service="weather")
    liked, not_liked = story.ask("one"), story.ask("two")
    for ref in (liked, not_liked):
        story.answer(ref, "Nothing.", step=1)
    story.rate(liked, 1, by="user:1")
    story.rate(not_liked, -0.5, "a \x1b[31mred\x1b[0m\nanswer", by="user:1")
    story.rate(not_liked, 1, by="user:2")
    rows = [line.split("\t") for line in traces("list", "--feedback", "negative").splitlines()]
    assert [(row[0], sorted(row[9].split())) for row in rows[1:]] == [
        (not_liked.run_id, ["+1", "-0.5"])
    ]
    for kind, count in (("positive", 2), ("negative", 1), ("any", 2), ("none", 0)):
        assert len(json.loads(traces("list", "--json", "--feedback", kind))) == count
    shown = traces("show", not_liked.run_id)
    assert "\x1b" not in shown
    assert "feedback\t-0.5 (user:1): a red answer" in shown
    assert traces("stats").splitlines()[-2:] == [
        "feedback on\tcount\tpositive\tnegative\taverage score",
        "weather\t3\t2\t1\t0.5",
    ]


def test_one_is_shown_with_its_steps_as_a_tree() -> None:
    trace = told("a \x1b[31mred\x1b[0m question")
    shown = traces("show", trace)
    assert "\x1b" not in shown
    assert shown.splitlines()[-3:] == [
        "think gpt-large · success · 40 ms · 100 + 20 tokens",
        "\ttool search · error · 7 ms: It is down.",
        "think gpt-large · success · 30 ms · 10 + 2 tokens",
    ]
    with pytest.raises(CommandError, match="There is no trace 'nobody'"):
        traces("show", "nobody")


def test_a_terminal_shows_each_attempt_as_a_branch() -> None:
    trace = Trace.objects.get(pk=told("a"))
    Span.objects.filter(step=2).update(attempt=2)
    output = io.StringIO()
    screen = RichScreen(Console(file=output, width=200))
    for branch in branches_of(trace):
        screen.tree(branch)
    assert [line.rstrip() for line in output.getvalue().splitlines()] == [
        "attempt 1",
        "└── think gpt-large · success · 40 ms · 100 + 20 tokens",
        "    └── tool search · error · 7 ms: It is down.",
        "attempt 2",
        "└── think gpt-large · success · 30 ms · 10 + 2 tokens",
    ]


def test_an_export_is_one_document() -> None:
    document = json.loads(traces("export", told("a")))
    assert document["trace"]["request"] == "a"
    assert [each["kind"] for each in document["spans"]] == ["think", "tool", "think"]
    assert document["spans"][1]["outputs"] == {"result": "It is\ndown."}


def test_pruning_counts_first_and_then_removes() -> None:
    old, young = told("old"), told("young")
    ago = timezone.now() - timedelta(days=31)
    # Ids are as old as their runs.
    Trace.objects.filter(pk=old).update(id=first_id(ago), started_at=ago, ended_at=ago)
    assert "would be removed: 1." in traces("prune", "--older-than", "30d", "--dry-run")
    assert Trace.objects.count() == 2
    assert "Removed traces: 1." in traces("prune", "--older-than", "30d")
    assert [trace.pk for trace in Trace.objects.all()] == [young]


def test_pruning_keeps_as_many_steps_as_it_is_told() -> None:
    for hours in (9, 8):
        ago = timezone.now() - timedelta(hours=hours)
        run_id = told(f"{hours} hours ago")
        Trace.objects.filter(pk=run_id).update(id=first_id(ago), started_at=ago, ended_at=ago)
        Span.objects.filter(trace_id=run_id).update(trace_id=first_id(ago), ended_at=ago)
    assert "would be removed: 1." in traces("prune", "--keep-spans", "3", "--dry-run")
    assert "Removed traces: 1." in traces("prune", "--keep-spans", "3")
    assert [trace.request for trace in Trace.objects.all()] == ["8 hours ago"]
    # Statistics go on to tell of both.
    assert traces("stats").splitlines()[1].split("\t")[:3] == ["think", "gpt-large", "4"]


@pytest.mark.parametrize(
    "options", [(), ("--keep-spans=-1",), ("--keep-spans=many",), ("--keep-spans=1" + 20 * "0",)]
)
def test_pruning_wants_to_know_what_stays(options: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        traces("prune", *options)


def test_statistics_tell_what_operations_took() -> None:
    told("Is it raining?", service="weather")
    rows = [line.split("\t") for line in traces("stats").splitlines()]
    assert rows[0][:4] == ["kind", "operation", "count", "errors"]
    assert [row[:4] for row in rows[1:]] == [
        ["think", "gpt-large", "2", "0"],
        ["tool", "search", "1", "1"],
    ]
    (reply, tool) = json.loads(traces("stats", "--json", "--by", "service"))["items"]
    assert (reply["group"], tool["group"], tool["max_ms"]) == ("weather", "weather", 7)
    assert len(traces("stats", "--service", "none").splitlines()) <= 1
    over_time = [line.split("\t") for line in traces("stats", "--over-time").splitlines()]
    assert [row[1:] for row in over_time] == rows
    assert over_time[0][0] == "from"
    with pytest.raises(CommandError, match="366 days"):
        traces("stats", "--since", "53w")


def test_a_run_is_written_down_to_run_again() -> None:
    origin = told("Is it raining?", service="weather")
    with pytest.raises(CommandError, match="There is no service 'weather' any more"):
        traces("rerun", origin)
    with pytest.raises(CommandError, match="There is no trace 'none'"):
        traces("rerun", "none")
    Service.objects.create(id="1", name="weather", agent_factory_path="weather.py")
    assert "as soon as a server of 'weather' is there" in traces("rerun", origin, "--step", "2")
    new = json.loads(traces("rerun", origin, "--question", " Is it dry? ", "--json"))
    assert (new["request"], new["status"]) == ("Is it dry?", "running")
    assert f"{origin}, from step 1" in traces("show", new["trace_id"])
    for empty in ("", "  "):
        with pytest.raises(CommandError, match="The other question is empty"):
            traces("rerun", origin, "--question", empty)
    with pytest.raises(CommandError, match="from steps 1 to 2"):
        traces("rerun", origin, "--step", "0")
