"""Traces over REST: the list, one of them, its steps; and whose they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from services.rest.conversations import reading as conversations
from services.rest.conversations.rates import Searches
from services.rest.traces import reading
from tests.traces.recorded import Story
from traces.models import Trace
from traces.reading import finding
from traces.reading.describing import spans_json, spans_of

from .client import Client
from .conftest import StaffClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def told(question: str = "What is new?", answer: str = "Nothing.", **story: Any) -> str:
    """The id of a run with one reply that calls a tool, and one that answers."""
    found = Story(**story)
    ref = found.ask(question)
    found.think(ref, "search")
    found.work(ref, "search", "success", "found")
    found.answer(ref, answer)
    return ref.run_id


def found(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"traces?{query}")
    assert answer.status == 200, answer.body
    return [each["trace_id"] for each in answer.json["items"]]


def test_a_trace_shows_how_its_run_went(client: Client) -> None:
    trace = told()
    shown = client.get(f"traces/{trace}").json
    assert (shown["trace_id"], shown["status"], shown["answer"]) == (trace, "answered", "Nothing.")
    assert client.get("traces").json == {"items": [shown], "cursor": None, "complete": True}
    spans = client.get(f"traces/{trace}/spans").json
    assert (spans["total"], spans["cursor"]) == (3, None)
    first, tool, _ = spans["items"]
    assert (tool["inputs"], tool["outputs"]) == ({"args": {"a": 1}}, {"result": "found"})
    assert tool["parent_span_id"] == first["span_id"]


def test_each_filter_finds_what_it_names(client: Client) -> None:
    weather = told("Rain in Oslo?", service="weather")
    news = told("news", "from OSLO")
    story = Story()
    ref = story.ask("broken")
    story.fail(ref, "no")
    Trace.objects.filter(pk=weather).update(cost_nano=8_600_000)
    for query, ids in {
        "service=weather": [weather],
        "service=none": [],
        "status=failed": [ref.run_id],
        "status=answered": [news, weather],
        "errors=true": [ref.run_id],
        "errors=false": [ref.run_id, news, weather],
        f"session_id={story.session_id}": [ref.run_id],
        "text=oslo": [news, weather],
        "text=": [ref.run_id, news, weather],
        "since=0001-01-01T00:00:00Z": [ref.run_id, news, weather],
        "since=2020-01-01T00:00:00Z": [ref.run_id, news, weather],
        "since=2999-01-01T00:00:00Z": [],
        "service=weather&status=failed": [],
        "until=0001-01-01T00:00:00Z": [],
        "until=2999-01-01T00:00:00Z": [ref.run_id, news, weather],
        "model=gpt-large": [ref.run_id, news, weather],
        "model=gpt": [],
        "principal=": [ref.run_id, news, weather],
        "principal=user:0": [],
        "min_duration_ms=200": [ref.run_id, news, weather],
        "min_duration_ms=201": [],
        "min_cost=0.0086": [weather],
        "min_cost=0.008600001": [],
    }.items():
        assert found(client, query) == ids, query


@pytest.mark.parametrize(
    "query",
    [
        *("status=odd", "since=yesterday", "limit=0", "offset=1", "cursor=x", "errors=maybe"),
        *("until=now", "min_duration_ms=-1", "min_duration_ms=1.5", "min_cost=-1", "min_cost=NaN"),
        *("min_cost=1e30", "model=", "service="),
    ],
)
def test_a_parameter_that_is_wrong_is_refused_by_its_name(client: Client, query: str) -> None:
    answer = client.get(f"traces?{query}")
    assert (answer.status, answer.code) == (400, "invalid")
    name = query.partition("=")[0]
    assert answer.json["field"] == name and answer.json["detail"].startswith(f"{name}: ")


@pytest.mark.parametrize("query", ["text=needle", "status=failed"])
def test_what_no_index_finds_is_looked_for_in_portions(
    client: Client, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(finding, "LOOKED_THROUGH", 2)
    story = Story()
    old = story.ask("a needle")
    story.fail(old, "no")
    for number in range(4):
        told(f"hay {number}")
    pages = []
    cursor = ""
    while cursor is not None:
        page = client.get(f"traces?{query}{cursor and f'&cursor={cursor}'}").json
        pages.append(([each["trace_id"] for each in page["items"]], page["complete"]))
        cursor = page["cursor"]
    assert pages == [([], False), ([], False), ([old.run_id], True)]


def test_pages_show_each_trace_once_while_new_ones_begin(client: Client) -> None:
    ids = [told(f"question {number}") for number in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get(f"traces?limit=2{cursor and f'&cursor={cursor}'}").json
        seen += [each["trace_id"] for each in page["items"]]
        cursor = page["cursor"]
        told("meanwhile")
    assert seen == ids[::-1]


def test_a_conversation_is_read_from_one_trace_on_both_ways(client: Client) -> None:
    story = Story()
    ids = []
    for text in ("one", "two", "three", "four"):
        ref = story.ask(text)
        story.answer(ref, "yes", step=1)
        ids.append(ref.run_id)
        told("of another conversation")
    query = f"session_id={story.session_id}&cursor={ids[1]}"
    assert found(client, f"{query}&order=oldest") == ids[2:]
    assert found(client, f"{query}&order=newest") == ids[:1]
    page = client.get(f"traces?session_id={story.session_id}&order=oldest&limit=3").json
    assert ([each["trace_id"] for each in page["items"]], page["cursor"]) == (ids[:3], ids[2])


def test_spans_are_shown_in_pages_with_their_parents(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"traces/{told()}/spans"
    whole = client.get(path).json["items"]
    first = client.get(f"{path}?limit=1").json
    assert (first["items"], first["cursor"]) == (whole[:1], 1)
    monkeypatch.setattr(reading, "SPANS_CHARACTERS", 10)
    second = client.get(f"{path}?cursor=1").json
    assert [each["span_id"] for each in second["items"]] == [whole[1]["span_id"]]
    assert second["items"][0]["parent_span_id"] == whole[0]["span_id"]
    assert second["cursor"] == 2
    assert client.get(f"{path}?cursor=3").json == {"items": [], "total": 3, "cursor": None}


def test_a_page_of_spans_reads_no_more_of_the_log_than_it_shows(client: Client) -> None:
    story = Story()
    ref = story.ask("long")
    for step in range(1, 41):
        story.think(ref, f"search_{step}", step=step)
        story.work(ref, f"search_{step}", "success", f"found {step}", step=step)
    page = client.get(f"traces/{ref.run_id}/spans?limit=4&cursor=40").json
    assert [span["step"] for span in page["items"]] == [21, 21, 22, 22]
    given = page["items"][0]["inputs"]["messages"]
    assert [each["content"] for each in given if each["role"] == "tool"] == ["found 20"]
    assert page["items"][3]["outputs"] == {"result": "found 22"}
    whole = client.get(f"traces/{ref.run_id}/spans").json["items"]
    assert whole[40:44] == page["items"]
    trace = Trace.objects.get()
    with CaptureQueriesContext(connection) as queries:
        assert spans_json(trace, list(spans_of(trace)[40:44])) == page["items"]
    (log,) = [q["sql"] for q in queries if "agents_event" in q["sql"] and "payload" in q["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(log)
        assert len(cursor.fetchall()) <= 9


@pytest.mark.parametrize("path", ["", "/spans"])
class TestWhose:
    def test_an_unknown_one_is_not_there(self, client: Client, path: str) -> None:
        answer = client.get(f"traces/nothing{path}")
        assert (answer.status, answer.code) == (404, "unknown_trace")
        assert "nothing" in answer.json["detail"]

    def test_somebody_elses_is_refused(self, staff: StaffClient, path: str) -> None:
        trace = told("secret", principal="user:0")
        member = staff("use_service", "view_trace")
        answer = member.get(f"traces/{trace}{path}")
        assert (answer.status, answer.code) == (403, "forbidden")
        assert found(member) == []

    def test_who_may_read_all_conversations_reads_all_traces(
        self, staff: StaffClient, path: str
    ) -> None:
        trace = told("secret", principal="user:0")
        reader = staff("use_service", "see_conversations")
        assert reader.get(f"traces/{trace}{path}").status == 200
        assert found(reader) == [trace]

    def test_ones_own_is_shown(self, staff: StaffClient, path: str) -> None:
        member = staff("use_service")
        trace = told(principal=f"user:{User.objects.get().pk}")
        assert member.get(f"traces/{trace}{path}").status == 200
        assert found(member) == [trace]

    def test_a_stranger_is_asked_to_log_in(self, path: str) -> None:
        trace = told()
        stranger = Client(host="site.example", peer="192.0.2.7", server="192.0.2.1")
        for each in ("traces", f"traces/{trace}{path}"):
            assert stranger.get(each).code == "not_authenticated"


@pytest.mark.parametrize("setting", ["off", "redacted"])
def test_what_may_not_be_seen_is_shown_nowhere(client: Client, settings: Any, setting: str) -> None:
    settings.MYAGENT_TRACE_CONTENT = setting
    trace = told("secret question", "secret answer")
    settings.MYAGENT_TRACE_CONTENT = "on"
    for path in ("traces", f"traces/{trace}", f"traces/{trace}/spans"):
        body = client.get(path).body
        assert not any(word in body for word in (b"secret", b"found", b"because")), path
    assert Trace.objects.get().steps == 2


def test_searches_of_texts_have_a_rate(
    staff: StaffClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MYAGENT_SEARCHES_PER_MINUTE = 1
    monkeypatch.setattr(conversations, "searches", Searches())
    member = staff("use_service")
    assert member.get("traces?text=a").status == 200
    answer = member.get("traces?text=a")
    assert (answer.status, answer.json["limit"]) == (429, "searches_per_minute")
    assert member.get("sessions?text=a").status == 429
    assert member.get("traces").status == 200


class TestRunningAgain:
    """What can be judged without a worker; the rest is at a real site."""

    def test_it_is_for_who_may_take_part(self, staff: StaffClient) -> None:
        path = f"traces/{told(principal='user:0')}/rerun"
        member = staff("use_service", name="member")
        assert (member.post(path, {}).status, member.post(path, {}).code) == (403, "forbidden")
        reader = staff("use_service", "see_conversations", name="reader")
        answer = reader.post(path, {})
        assert (answer.status, answer.code) == (403, "forbidden")
        assert "take part" in answer.json["detail"]
        both = staff("use_service", "see_conversations", "join_conversations", name="both")
        # Only now what is asked for is looked at.
        assert both.post(path, {"question": "What else?", "step": 2}).code == "invalid"

    def test_a_page_of_another_site_can_not_ask_for_it(self, staff: StaffClient) -> None:
        chief = staff("use_service", "see_conversations", "join_conversations")
        path = f"traces/{told()}/rerun"
        assert chief.post(path, {}, origin="http://elsewhere.example").status == 403
        assert chief.post(path, {}, x_csrftoken="").status == 403
        assert Trace.objects.count() == 1

    @pytest.mark.parametrize(
        "body",
        [
            *({"step": 0}, {"step": "1"}, {"step": 2**40}, {"other": 1}),
            *({"question": 1}, {"question": "  "}, {"question": "\n"}),
            *([1], [], "", 0, False),
        ],
    )
    def test_a_request_that_is_wrong_is_refused(self, client: Client, body: Any) -> None:
        answer = client.post(f"traces/{told()}/rerun", body)
        assert (answer.status, answer.code) == (400, "invalid")


class TestStats:
    def test_they_tell_what_operations_took(self, client: Client) -> None:
        told(service="weather")
        found = client.get("traces/stats").json
        assert (found["by"], found["bucket"], found["total"]) == ("name", "hour", 2)
        replies, tool = found["items"]
        assert (replies["kind"], replies["group"], replies["count"]) == ("think", "gpt-large", 2)
        assert (replies["min_ms"], replies["max_ms"], replies["avg_ms"]) == (30, 40, 35.0)
        assert (replies["prompt_tokens"], replies["completion_tokens"]) == (110, 22)
        assert (tool["kind"], tool["group"], tool["p50_ms"], tool["p95_ms"]) == (
            *("tool", "search", 7.0, 7.0),
        )
        assert sum(bucket["count"] for bucket in tool["buckets"]) == 1
        by_service = client.get("traces/stats?by=service&service=weather").json["items"]
        assert {each["group"] for each in by_service} == {"weather"}
        assert client.get("traces/stats?service=none").json["items"] == []
        assert client.get("traces/stats?until=2020-01-01T00:00:00Z").json["items"] == []

    @pytest.mark.parametrize(
        ("query", "name"),
        [
            *(("by=day", "by"), ("since=odd", "since"), ("since=2999-01-01T00:00:00Z", "since")),
            *(("since=2020-01-01T00:00:00Z", "since"), ("until=0001-01-01T00:00:00Z", "until")),
            *(("until=9999-12-31T23:59:59Z", "until"), ("limit=1", "limit")),
        ],
    )
    def test_what_is_wrong_is_named(self, client: Client, query: str, name: str) -> None:
        answer = client.get(f"traces/stats?{query}")
        assert (answer.status, answer.code, answer.json["field"]) == (400, "invalid", name)

    def test_they_are_for_who_may_see_everybodys_runs(self, staff: StaffClient) -> None:
        told(principal="user:0")
        member = staff("use_service", "view_trace")
        answer = member.get("traces/stats")
        assert (answer.status, answer.code) == (403, "forbidden")
        reader = staff("use_service", "see_conversations", name="eve")
        assert reader.get("traces/stats").json["total"] == 2
