"""The list of conversations over REST, one of them, its log, its title; and whose they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Event, Session
from tests.agents.archive import stored
from tests.recording import NOBODYS

from .client import Client
from .conftest import StaffClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def found(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"sessions?{query}")
    assert answer.status == 200, answer.body
    assert {"items", "total", "limit", "offset"} == set(answer.json)
    return [each["session_id"] for each in answer.json["items"]]


def test_the_list_shows_what_a_conversation_is_and_pages_it_newest_first(client: Client) -> None:
    ids = [stored.stored(f"question {number}", principal="") for number in range(3)]
    page = client.get("sessions?limit=2&offset=1").json
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 1)
    assert [each["session_id"] for each in page["items"]] == [ids[1], ids[0]]
    shown = client.get(f"sessions/{ids[0]}").json
    assert shown == page["items"][1]
    assert (shown["title"], shown["status"], shown["last_seq"]) == ("question 0", "idle", 3)
    assert found(client, "ordering=created_at") == ids


def test_each_filter_finds_what_it_names(client: Client) -> None:
    idle = stored.stored("Weather in Paris", service="weather")
    running = stored.stored("still at it", ends=False)
    waiting = stored.stored("may I?")
    stored.ask(waiting, stored.say(waiting, "really?", 2))
    answered = stored.stored()
    ref = stored.say(answered, "go on", 1)
    stored.ask(answered, ref)
    stored.respond(answered, ref)
    closed = stored.stored("bye", 'said "quoted"')
    stored.close(closed)
    for query, ids in {
        "status=idle": {idle},
        "status=running": {running, answered},
        "status=waiting": {waiting},
        "status=closed": {closed},
        "status=open": {idle, running, waiting, answered},
        "status=open&mine=true": {idle, running, waiting, answered},
        "service=weather": {idle},
        "service=none": set(),
        "text=paris": {idle},
        "text=REALLY": {waiting},
        "text=said%20%22quoted": {closed},
        "text=": {idle, running, waiting, answered, closed},
        "since=2020-01-01T00:00:00Z": {idle, running, waiting, answered, closed},
        "since=2999-01-01T00:00:00Z": set(),
        "service=weather&status=running": set(),
    }.items():
        assert set(found(client, query)) == ids, query


@pytest.mark.parametrize(
    "query",
    ["status=odd", "since=yesterday", "ordering=title", "limit=0", "who=me", "offset=-1"],
)
def test_a_parameter_that_is_wrong_is_refused(client: Client, query: str) -> None:
    answer = client.get(f"sessions?{query}")
    assert (answer.status, answer.code) == (400, "invalid")


def test_the_log_is_shown_as_it_is_on_the_wire_with_every_digit(client: Client) -> None:
    session = stored.stored("one", "two")
    Event.objects.filter(session_id=session, seq=1).update(
        payload='{"content":null,"metadata":{"n":123456789012345678901234567890}}'
    )
    page = client.get(f"sessions/{session}/events?limit=3")
    assert b'"n":123456789012345678901234567890' in page.body
    assert [each["seq"] for each in page.json["items"]] == [1, 2, 3]
    assert page.json["items"][1]["event_id"] == f"{session}:2"
    assert (page.json["cursor"], page.json["last_seq"]) == (3, 5)
    rest = client.get(f"sessions/{session}/events?after=3").json
    assert [each["seq"] for each in rest["items"]] == [4, 5]
    assert client.get(f"sessions/{session}/events?after=5").json == {
        "items": [],
        "cursor": 5,
        "last_seq": 5,
    }


def test_a_new_title_stays_and_is_found(client: Client) -> None:
    session = stored.stored("first words")
    answer = client.patch(f"sessions/{session}", {"title": " My\nplans "})
    assert (answer.status, answer.json["title"]) == (200, "My plans")
    stored.say(session, "second", 2)
    assert Session.objects.get(pk=session).title == "My plans"
    assert found(client, "text=plans") == [session]
    for title in ("", " ", "\u200b", "x" * 201, 1):
        assert client.patch(f"sessions/{session}", {"title": title}).status == 400


@pytest.mark.parametrize("body", [[], 0, ""])
def test_only_an_object_stops_an_answer(client: Client, body: Any) -> None:
    answer = client.post(f"sessions/{stored.stored('going on')}/cancel", body)
    assert (answer.status, answer.code) == (400, "invalid")


@pytest.mark.parametrize("score", [True, False, "1", None, 1.01, [1]])
def test_a_score_is_a_number_as_on_sockets(client: Client, score: Any) -> None:
    path = f"sessions/{stored.stored('said')}/messages/m/feedback"
    answer = client.put(path, {"score": score})
    assert (answer.status, answer.code) == (400, "invalid")


def test_a_conversation_at_rest_is_removed_with_all_of_it(client: Client) -> None:
    session, other = stored.stored("gone", "soon"), stored.stored("stays")
    assert client.delete(f"sessions/{session}").status == 204
    assert found(client) == [other]
    assert set(Event.objects.values_list("session_id", flat=True)) == {other}
    assert client.delete(f"sessions/{session}").code == "unknown_session"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/events", None),
        ("PATCH", "", {"title": "mine"}),
        ("DELETE", "", None),
        ("POST", "/messages", {"content": "hi"}),
        ("POST", "/cancel", {}),
    ],
)
class TestWhose:
    def test_somebody_elses_is_refused(
        self, staff: StaffClient, method: str, path: str, body: Any
    ) -> None:
        session = stored.stored("secret", principal="user:0")
        answer = staff("view_session").ask(method, f"sessions/{session}{path}", body)
        assert (answer.status, answer.code) == (403, "forbidden")
        assert Session.objects.get().title == "secret"

    def test_who_may_see_it_reads_it_and_does_nothing_to_it(
        self, staff: StaffClient, method: str, path: str, body: Any
    ) -> None:
        session = stored.stored("secret", principal="user:0")
        reader = staff("see_conversations", "use_service")
        answer = reader.ask(method, f"sessions/{session}{path}", body)
        assert (answer.status == 200) is (method == "GET")
        assert method == "GET" or (answer.status, answer.code) == (403, "forbidden")
        assert Session.objects.get().title == "secret"

    def test_without_a_login_nobody_from_elsewhere_may(
        self, method: str, path: str, body: Any
    ) -> None:
        session = stored.stored("secret")
        answer = Client(host="site.example").ask(method, f"sessions/{session}{path}", body)
        assert answer.status == 401

    def test_one_that_is_not_there_is_said_to_be(
        self, client: Client, method: str, path: str, body: Any
    ) -> None:
        answer = client.ask(method, f"sessions/{NOBODYS}{path}", body)
        assert (answer.status, answer.code) == (404, "unknown_session")


def test_one_sees_ones_own_and_with_the_permission_all(staff: StaffClient) -> None:
    ada = staff(name="ada", is_staff=False)
    own = stored.stored("mine", principal=f"user:{User.objects.get(username='ada').pk}")
    other = stored.stored("theirs", principal="user:0")
    assert found(ada) == [own]
    assert found(ada, "text=theirs") == []
    assert set(found(staff("see_conversations", name="eve"))) == {own, other}
    assert found(staff("see_conversations", name="joe"), "mine=true") == []


def test_who_may_join_renames_and_removes_what_others_began(staff: StaffClient) -> None:
    session = stored.stored("secret", principal="user:0")
    joining = staff("see_conversations", "join_conversations")
    assert joining.patch(f"sessions/{session}", {"title": "known"}).status == 200
    assert joining.delete(f"sessions/{session}").status == 204


def test_one_from_before_there_were_titles_is_listed_with_its_first_words(client: Client) -> None:
    stored.stored("Weather in Paris", "And in Berlin?")
    Session.objects.update(title="")
    assert [each["title"] for each in client.get("sessions").json["items"]] == ["Weather in Paris"]
