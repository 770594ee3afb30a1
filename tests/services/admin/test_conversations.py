"""Conversations in the admin: who sees the list, who may read; and nothing can be changed."""

from __future__ import annotations

import pytest
from django.test import Client

from agents.models import Session
from services.admin import conversations
from tests.agents.archive import stored

from .conftest import Person

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/agents/session/"


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_what_was_said_is_shown_to_whoever_may_read_it(person: Person) -> None:
    session = stored.stored("<script>alert(1)</script> \u202eplease")
    reader = person("view_session", "see_conversations")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; please" in text_of(reader, LIST)
    page = text_of(reader, f"{LIST}{session}/change/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; please" in page
    assert "said-by-agent" in page and "<script>alert" not in page and "\u202e" not in page


def test_who_sees_the_list_alone_reads_nothing_of_it(person: Person) -> None:
    session = stored.stored("my secret")
    viewer = person("view_session")
    for path in (LIST, f"{LIST}?q=secret", f"{LIST}{session}/change/"):
        assert "my secret" not in text_of(viewer, path)


def test_without_the_permission_there_is_no_list(person: Person) -> None:
    session = stored.stored("my secret")
    for client in (person("view_service"), person("see_conversations", name="eve")):
        assert client.get(LIST).status_code == 403
        assert client.get(f"{LIST}{session}/change/").status_code == 403


def test_a_long_conversation_is_shown_in_pages(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "ENTRIES_SHOWN", 3)
    session = stored.stored("first", "second")
    reader = person("view_session", "see_conversations")
    page = text_of(reader, f"{LIST}{session}/change/")
    assert "<pre>first<" in page and "<pre>second<" not in page and "?after=3" in page
    page = text_of(reader, f"{LIST}{session}/change/?after=3")
    assert "<pre>second<" in page and "<pre>first<" not in page and "?after=0" in page


def test_the_list_is_filtered_and_searched(person: Person) -> None:
    weather = stored.stored("rain", service="weather")
    busy = stored.stored("work", ends=False)
    reader = person("view_session", "see_conversations")
    for query, found in {
        "status=running": {busy},
        "status=odd": {weather, busy},
        "service=weather": {weather},
        "q=rain": {weather},
    }.items():
        page = text_of(reader, f"{LIST}?{query}")
        assert {each for each in (weather, busy) if f"{LIST}{each}/change/" in page} == found, query


def test_nothing_can_be_changed_there(chief: Client) -> None:
    session = stored.stored("stays")
    assert chief.get(f"{LIST}add/").status_code == 403
    assert chief.post(f"{LIST}{session}/delete/", {"post": "yes"}).status_code == 403
    assert chief.post(f"{LIST}{session}/change/", {"title": "x"}).status_code == 403
    assert Session.objects.get().title == "stays"
