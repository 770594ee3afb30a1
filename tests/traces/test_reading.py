"""What people are shown of traces, and which of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents.archive import removal
from agents.models import Server
from agents.ownership import servers
from agents.principals import Principal
from tests.traces.recorded import Story
from traces import pruning
from traces.models import Span, Trace
from traces.reading import contents, finding
from traces.reading.describing import Json, spans_json, spans_of, trace_json
from traces.reading.finding import NoTrace, NotTheirs, Wanted

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def told(question: str = "What is new?", answer: str = "Nothing.", **story: Any) -> Story:
    """A run with one reply that calls a tool, and one that answers."""
    found = Story(**story)
    ref = found.ask(question)
    found.think(ref, "search")
    found.work(ref, "search", "success", "found")
    found.answer(ref, answer)
    return found


def shown(trace: Trace) -> list[Json]:
    return spans_json(trace, list(spans_of(trace)))


def questions(**wanted: Any) -> list[str]:
    return [trace.request for trace in finding.select(Wanted(**wanted))]


def test_each_step_shows_what_went_in_and_out() -> None:
    told()
    first, tool, last = shown(Trace.objects.get())
    assert [each["role"] for each in first["inputs"]["messages"]] == ["user"]
    assert first["outputs"]["reasoning"] == "because"
    (call,) = first["outputs"]["message"]["tool_calls"]
    assert call["function"]["name"] == "search"
    assert tool["parent_span_id"] == first["span_id"]
    assert (tool["inputs"], tool["outputs"]) == ({"args": {"a": 1}}, {"result": "found"})
    roles = [each["role"] for each in last["inputs"]["messages"]]
    assert roles == ["assistant", "tool"]
    assert last["outputs"] == {"message": {"role": "assistant", "content": "Nothing."}}


def test_a_run_that_is_under_way_shows_what_there_is() -> None:
    story = Story()
    ref = story.ask("a")
    (think,) = shown(Trace.objects.get())
    assert (think["status"], think["outputs"], think["duration_ms"]) == ("running", None, None)
    story.think(ref, "search")
    (think,) = shown(Trace.objects.get())
    assert think["outputs"] is not None


def test_a_large_text_is_cut_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_CHARACTERS", 4)
    told(answer="a long answer")
    last = shown(Trace.objects.get())[-1]
    assert last["outputs"]["message"]["content"] == {"text": "a lo", "characters": 13}


@pytest.mark.parametrize("setting", ["off", "redacted"])
def test_what_is_not_to_be_seen_is_in_no_form_of_a_trace(settings: Any, setting: str) -> None:
    settings.MYAGENT_TRACE_CONTENT = setting
    told("secret question", "secret answer")
    trace = Trace.objects.get()
    # What was recorded under one setting stays so under another.
    settings.MYAGENT_TRACE_CONTENT = "on"
    text = repr((trace_json(trace), shown(trace)))
    assert not any(word in text for word in ("secret", "found", "because"))


def test_traces_are_found_by_what_is_known_of_them() -> None:
    told("weather in Oslo", service="weather")
    told("news", "from OSLO", service="news")
    failing = Story(service="news")
    failing.fail(failing.ask("broken"), "no")
    assert questions() == ["broken", "news", "weather in Oslo"]
    assert questions(service="weather") == ["weather in Oslo"]
    assert questions(status="failed") == questions(has_errors=True) == ["broken"]
    assert questions(text="oslo") == ["news", "weather in Oslo"]
    assert questions(session_id=failing.session_id) == ["broken"]
    hour = timedelta(hours=1)
    assert len(questions(since=timezone.now() - hour)) == 3
    assert questions(since=timezone.now() + hour) == []


def test_somebody_sees_what_is_theirs() -> None:
    told("mine", principal="user:1")
    told("yours", principal="user:2", service="news")
    me, admin = Principal("user:1", "me"), Principal("user:3", "admin", sees_everything=True)
    assert questions(principal=me) == ["mine"]
    assert questions(principal=admin) == ["yours", "mine"]
    narrow = Principal("t", "token", sees_everything=True, services=frozenset({"news"}))
    assert questions(principal=narrow) == ["yours"]
    yours = Trace.objects.get(principal="user:2")
    with pytest.raises(NotTheirs):
        finding.find(yours.pk, me)
    assert finding.find(yours.pk, admin) == yours
    with pytest.raises(NoTrace):
        finding.find(yours.pk.upper(), None)


def test_traces_go_with_their_conversation() -> None:
    story = told()
    told("another")
    for server in Server.objects.all():
        servers.retire(server.pk)
    assert removal.remove_at_rest(story.session_id)
    assert questions() == ["another"]
    assert set(Span.objects.values_list("trace_id", flat=True)) == {Trace.objects.get().pk}


def test_old_traces_are_removed_and_running_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    for number in range(5):
        told(f"old {number}")
    Story().ask("runs since long ago")
    told("young")
    later = timezone.now() + timedelta(days=1)
    Trace.objects.filter(request="young").update(ended_at=later)
    assert sum(pruning.remove(pruning.older(timezone.now() + timedelta(minutes=1)))) == 5
    assert questions() == ["young", "runs since long ago"]
    assert Span.objects.values("trace_id").distinct().count() == 2
