"""Traces in the admin: read by those who may, changed by nobody; prices are edited there."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client

from tests.traces.recorded import Story
from traces.models import Price, Trace

from .conftest import Person

LIST = "/admin/traces/trace/"
PRICES = "/admin/traces/price/"

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def trace() -> Trace:
    story = Story()
    ref = story.ask("Is it <b>raining</b>?")
    story.answer(ref, "No.", step=1)
    Story().ask("something else")
    Trace.objects.filter(pk=ref.run_id).update(cost_nano=8_600_000)
    return Trace.objects.get(pk=ref.run_id)


def test_traces_are_listed_found_and_read(person: Person, trace: Trace) -> None:
    viewer = person("view_trace")
    found = viewer.get(f"{LIST}?q=raining&status__exact=answered").content.decode()
    assert trace.pk in found and "something else" not in found
    assert "Is it &lt;b&gt;raining" in found and "0.008600 USD" in found
    page = viewer.get(f"{LIST}{trace.pk}/change/").content.decode()
    assert "No." in page and trace.session_id in page


def test_nobody_changes_a_trace(chief: Client, trace: Trace) -> None:
    assert chief.get(f"{LIST}add/").status_code == 403
    assert chief.post(f"{LIST}{trace.pk}/change/", {"request": "x"}).status_code == 403
    assert chief.post(f"{LIST}{trace.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Trace.objects.get(pk=trace.pk).request == trace.request


def test_who_has_no_permission_sees_none(person: Person, trace: Trace) -> None:
    assert person("view_session").get(LIST).status_code == 403


def test_a_price_is_entered_and_checked(person: Person) -> None:
    keeper = person("view_price", "add_price")
    form = {
        "model": "gpt-*",
        "valid_from_0": "2026-01-01",
        "valid_from_1": "00:00",
        "prompt": "2.5",
        "cached": "",
        "completion": "10",
    }
    assert keeper.post(f"{PRICES}add/", form | {"prompt": "-1"}).status_code == 200
    assert keeper.post(f"{PRICES}add/", form).status_code == 302
    price = Price.objects.get()
    assert (price.prompt, price.cached, price.completion) == (Decimal("2.5"), None, Decimal(10))
    assert "gpt-*" in keeper.get(PRICES).content.decode()
