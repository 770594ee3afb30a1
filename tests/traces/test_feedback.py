"""What clients said of answers, on traces and in statistics."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import models
from django.utils import timezone

from agents.models import Session
from agents.principals import Principal
from tests.traces.recorded import AGENT, Story
from traces import pruning
from traces.models import Feedback, Trace
from traces.reading import finding, stats
from traces.reading.describing import trace_json
from traces.reading.feedback import Kind
from traces.recording import statements

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def answered(story: Story, text: str = "What is new?") -> Any:
    ref = story.ask(text)
    story.answer(ref, "Nothing.", step=1)
    return ref


def shown(run_id: str) -> list[tuple[str, float, str]]:
    found = trace_json(Trace.objects.get(pk=run_id))["feedback"]
    return [(each["principal"], each["score"], each["comment"]) for each in found]


def test_a_trace_has_the_last_word_of_each_client() -> None:
    story = Story()
    ref, other = answered(story), answered(story)
    story.rate(ref, 1, "good", by="user:1")
    story.rate(ref, -0.5, "wrong after all", by="user:1")
    assert shown(ref.run_id) == [("user:1", -0.5, "wrong after all")]
    story.rate(ref, 1, by="user:2")
    assert sorted(shown(ref.run_id)) == [("user:1", -0.5, "wrong after all"), ("user:2", 1.0, "")]
    assert shown(other.run_id) == []
    story.rate(ref, None, by="user:1")
    assert shown(ref.run_id) == [("user:2", 1.0, "")]
    story.rate(ref, 0.25, by="user:1")
    assert ("user:1", 0.25, "") in shown(ref.run_id)


def test_a_run_without_a_trace_has_no_feedback_on_it() -> None:
    story = Story(agent=replace(AGENT, enable_tracing=False))
    story.rate(answered(story), 1)
    story = Story()
    ref = answered(story)
    Trace.objects.filter(pk=ref.run_id).delete()
    story.rate(ref, 1)
    assert not Feedback.objects.exists()


@pytest.mark.parametrize(("content", "expected"), [("off", ""), ("redacted", "•••")])
def test_a_comment_is_hidden_as_other_texts_are(settings: Any, content: str, expected: str) -> None:
    settings.MYAGENT_TRACE_CONTENT = content
    story = Story()
    ref = answered(story)
    story.rate(ref, 1, "my secret")
    assert Feedback.objects.get().comment == expected
    assert shown(ref.run_id) == [("", 1.0, expected)]


def test_a_comment_on_a_run_whose_texts_were_off_stays_hidden(settings: Any) -> None:
    settings.MYAGENT_TRACE_CONTENT = "off"
    ref = answered(story := Story())
    settings.MYAGENT_TRACE_CONTENT = "on"
    later = Story()
    later.session_id = story.session_id
    later.rate(ref, 1, "my secret")
    assert shown(ref.run_id) == [("", 1.0, "")]


def test_traces_are_found_by_what_was_said_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "LOOKED_THROUGH", 2)
    story = Story()
    good, bad, even, back, none = (answered(story) for _ in range(5))
    for ref, score in ((good, 1), (bad, -1), (even, 0), (back, 1), (back, None)):
        story.rate(ref, score)
    story.rate(bad, 1, by="user:1")

    def found(kind: Kind) -> list[str]:
        return [each.pk for each in finding.select(finding.Wanted(feedback=kind))]

    assert found(Kind.POSITIVE) == [bad.run_id, good.run_id]
    assert found(Kind.NEGATIVE) == [bad.run_id]
    assert found(Kind.ANY) == [even.run_id, bad.run_id, good.run_id]
    assert found(Kind.NONE) == [none.run_id, back.run_id]
    # However many others are newer: what is looked through is what was said.
    monkeypatch.setattr(finding, "RATED_LOOKED_THROUGH", 2)
    page = finding.page_of(finding.Wanted(feedback=Kind.POSITIVE), limit=1)
    assert ([each.pk for each in page.traces], page.is_complete) == ([bad.run_id], True)
    page = finding.page_of(finding.Wanted(feedback=Kind.POSITIVE), limit=1, cursor=page.cursor)
    assert ([each.pk for each in page.traces], page.cursor) == ([good.run_id], None)
    page = finding.page_of(finding.Wanted(feedback=Kind.ANY, status="failed"), limit=1)
    assert (page.traces, page.is_complete, page.cursor) == ([], False, bad.run_id)
    page = finding.page_of(
        finding.Wanted(feedback=Kind.ANY, status="failed"), limit=1, cursor=page.cursor
    )
    assert (page.traces, page.is_complete, page.cursor) == ([], True, None)


def test_statistics_count_it_by_service_and_by_model() -> None:
    weather = Story(service="weather")
    support = Story(service="support", agent=replace(AGENT, model="small"))
    for score in (1, 1, -1, 0.5):
        weather.rate(answered(weather), score)
    support.rate(answered(support), -1, "no")
    support.rate(answered(support), 1)
    taken_back = answered(support)
    support.rate(taken_back, 1)
    support.rate(taken_back, None)

    def counted(by: stats.By, **more: Any) -> list[tuple[Any, ...]]:
        now = timezone.now()
        wanted = stats.Wanted(now - timedelta(hours=1), now + timedelta(seconds=1), by, **more)
        return [tuple(each.values()) for each in stats.stats_json(wanted)["feedback"]]

    in_all = [("weather", 4, 3, 1, 0.375), ("support", 2, 1, 1, 0.0)]
    assert counted(stats.By.SERVICE) == counted(stats.By.NAME) == in_all
    assert counted(stats.By.MODEL) == [("gpt-large", 4, 3, 1, 0.375), ("small", 2, 1, 1, 0.0)]
    assert counted(stats.By.SERVICE, service="support") == in_all[1:]
    bound = Principal("user:1", "", sees_everything=True, services=frozenset({"support"}))
    assert counted(stats.By.SERVICE, principal=bound) == in_all[1:]
    Feedback.objects.update(given_at=timezone.now() - timedelta(hours=2))
    assert counted(stats.By.SERVICE) == []


def test_it_is_removed_with_its_trace_and_with_its_conversation() -> None:
    for remove in (
        lambda: list(pruning.remove(pruning.older(timezone.now() + timedelta(hours=1)))),
        lambda: Session.objects.all().delete(),
    ):
        story = Story()
        story.rate(answered(story), 1)
        assert Feedback.objects.count() == 1
        remove()
        assert not Feedback.objects.exists()


def test_the_plain_sql_knows_every_column() -> None:
    fields: list[models.Field[Any, Any]] = list(Feedback._meta.local_concrete_fields)
    assert {*statements.FEEDBACK_COLUMNS, "id"} == {field.column for field in fields}
