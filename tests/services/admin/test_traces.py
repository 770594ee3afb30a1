"""Traces and prices in the admin: who sees the list, who may read; and what can be changed."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.traces.recorded import Story
from traces.models import Price, Trace
from traces.rerunning import Rerun

from .conftest import Person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

LIST = "/admin/traces/trace/"
PRICES = "/admin/traces/price/"


def told(question: str, service: str = "tested", error: str = "no such page") -> str:
    story = Story(service=service)
    ref = story.ask(question)
    story.think(ref, "search")
    story.work(ref, "search", "error", error)
    story.answer(ref, "an answer")
    return ref.run_id


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_the_steps_are_shown_in_order_as_harmless_text(person: Person) -> None:
    trace = told("<script>alert(1)</script> \u202eplease", error="<b>no</b>\u202e")
    reader = person("view_trace", "see_conversations")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text_of(reader, LIST)
    page = text_of(reader, f"{LIST}{trace}/change/")
    steps = page[page.index('id="spans"') :]
    assert steps.index("gpt-large") < steps.index("search") < steps.rindex("gpt-large")
    assert "&lt;b&gt;no&lt;/b&gt;" in steps and "100 + 20" in steps
    assert "<script>alert" not in page and "\u202e" not in page


def test_who_sees_the_list_alone_reads_nothing_of_what_was_said(person: Person) -> None:
    trace = told("my secret", error="my secret")
    viewer = person("view_trace")
    for path in (LIST, f"{LIST}?q=secret", f"{LIST}{trace}/change/"):
        assert "my secret" not in text_of(viewer, path)
    assert viewer.get(f"{LIST}?request__startswith=m").status_code in (302, 400)


def test_without_the_permission_there_is_no_list(person: Person) -> None:
    trace = told("my secret")
    for client in (person("view_service"), person("see_conversations", name="eve")):
        assert client.get(LIST).status_code == 403
        assert client.get(f"{LIST}{trace}/change/").status_code == 403


def test_a_trace_is_shown_with_its_conversation_and_cost(person: Person) -> None:
    trace = told("Is it raining?")
    Trace.objects.filter(pk=trace).update(cost_nano=8_600_000)
    reader = person("view_trace", "see_conversations")
    assert "0.008600 USD" in text_of(reader, LIST)
    page = text_of(reader, f"{LIST}{trace}/change/")
    assert "an answer" in page and Trace.objects.get().session_id in page
    again = Rerun(Trace.objects.get(), 2, None).write()
    page = text_of(reader, f"{LIST}{again.pk}/change/")
    assert f"{trace}, from step 2" in page


def test_the_list_is_filtered_and_searched(person: Person) -> None:
    weather, busy = told("rain", "weather"), Story().ask("work").run_id
    reader = person("view_trace", "see_conversations")
    for query, found in {
        "status__exact=running": {busy},
        "service=weather": {weather},
        "q=rain": {weather},
        f"q={busy}": {busy},
        "started_at__gte=2020-01-01%2000:00:00%2B00:00": {weather, busy},
        "started_at__gte=2999-01-01%2000:00:00%2B00:00": set(),
    }.items():
        page = text_of(reader, f"{LIST}?{query}")
        assert {each for each in (weather, busy) if f"{LIST}{each}/change/" in page} == found, query


def test_what_clients_said_is_shown_and_filtered_and_comments_are_for_who_may_read(
    person: Person,
) -> None:
    story = Story()
    liked, not_liked = story.ask("one"), story.ask("two")
    for ref in (liked, not_liked):
        story.answer(ref, "an answer", step=1)
    story.rate(liked, 1)
    story.rate(not_liked, -1, "<b>my secret</b>")
    viewer = person("view_trace")
    for query, found in {
        "feedback=negative": {not_liked},
        "feedback=positive": {liked},
        "feedback=any": {liked, not_liked},
        "feedback=none": set(),
    }.items():
        page = text_of(viewer, f"{LIST}?{query}")
        shown = {ref for ref in (liked, not_liked) if f"{LIST}{ref.run_id}/change/" in page}
        assert shown == found, query
    path = f"{LIST}{not_liked.run_id}/change/"
    assert "my secret" not in text_of(viewer, path)
    reader = person("view_trace", "see_conversations", name="eve")
    assert "&lt;b&gt;my secret&lt;/b&gt;" in text_of(reader, path)


def test_traces_can_not_be_changed_there(chief: Client) -> None:
    trace = told("stays")
    assert chief.get(f"{LIST}add/").status_code == 403
    assert chief.post(f"{LIST}{trace}/delete/", {"post": "yes"}).status_code == 403
    assert chief.post(f"{LIST}{trace}/change/", {"request": "x"}).status_code == 403
    assert Trace.objects.get().request == "stays"


def test_prices_are_added_changed_and_removed_by_who_may(person: Person) -> None:
    form = {"model": "gpt-*", "valid_from_0": "2026-01-01", "valid_from_1": "00:00:00"}
    form |= {"prompt": "1.25", "cached": "", "completion": "10"}
    viewer = person("view_price")
    assert viewer.post(f"{PRICES}add/", form).status_code == 403
    editor = person("view_price", "add_price", "change_price", "delete_price", name="eve")
    assert editor.post(f"{PRICES}add/", form | {"prompt": "-1"}).status_code == 200
    assert editor.post(f"{PRICES}add/", form).status_code == 302
    price = Price.objects.get()
    assert editor.post(f"{PRICES}{price.pk}/change/", form | {"cached": "0.5"}).status_code == 302
    assert str(Price.objects.get().cached) == "0.500000"
    assert editor.post(f"{PRICES}{price.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Price.objects.exists()


@pytest.mark.parametrize(
    ("model", "status"),
    [("lab-*x", 200), ("*-lab", 200), ("lab-**", 200), ("lab-*", 302), ("*", 302)],
)
def test_a_star_is_the_last_of_a_name(person: Person, model: str, status: int) -> None:
    form = {"model": model, "valid_from_0": "2026-01-01", "valid_from_1": "00:00:00"}
    amounts = {"prompt": "1", "cached": "", "completion": "2"}
    answer = person("view_price", "add_price").post(f"{PRICES}add/", form | amounts)
    assert answer.status_code == status
    assert ("* stands for the rest" in answer.content.decode()) == (status == 200)
