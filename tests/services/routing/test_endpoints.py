"""Where services are reached."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import RequestFactory

from agents.runtime.process import own_identity
from services.models import Service
from services.routing.endpoints import (
    chat_of,
    endpoint_of,
    site_address,
    site_of,
    without_secrets,
)
from tests.services.measured import add_server


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("weather", "ws://localhost:8000/services/weather/"),
        ("a.b-c_d", "ws://localhost:8000/services/a.b-c_d/"),
        ("天气", "ws://localhost:8000/services/%E5%A4%A9%E6%B0%94/"),
    ],
)
def test_a_service_has_a_path_at_the_site(name: str, endpoint: str) -> None:
    assert endpoint_of(Service(name=name), "ws://localhost:8000/") == endpoint


def test_clients_of_a_service_elsewhere_come_through_the_site() -> None:
    far = Service(name="far", url="wss://ada:secret@agents.example.org/ws?token=1")
    assert endpoint_of(far, "ws://localhost:8000/") == "ws://localhost:8000/services/far/"
    assert chat_of(far) == "https://agents.example.org/"
    assert chat_of(Service(name="odd", url="ws://<script>/")) == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("wss://far.example/ws", "wss://far.example/ws"),
        ("wss://far.example/ws?room=7&key=a=b&x", "wss://far.example/ws?room=…&key=…&…"),
        ("wss://ada:secret@far.example:81/?", "wss://far.example:81/"),
    ],
)
def test_an_address_is_shown_without_what_it_says_in_secret(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_without_a_server_there_is_no_address() -> None:
    assert endpoint_of(Service(name="weather"), "") == ""


@pytest.mark.parametrize(("scheme", "found"), [("http", "ws"), ("https", "wss")])
def test_who_asks_over_http_gets_the_address_that_they_have_found(scheme: str, found: str) -> None:
    request = RequestFactory().get("/", secure=scheme == "https", HTTP_HOST="site.example:8443")
    assert site_of(request) == f"{found}://site.example:8443/"


def address_with(*servers: dict[str, Any]) -> str:
    for fields in servers:
        add_server(**fields)
    return site_address()


@pytest.mark.django_db
@pytest.mark.both_databases
def test_of_the_servers_that_live_the_newest_is_named() -> None:
    assert site_address() == ""
    late = Now() - timedelta(seconds=1)
    found = address_with(
        {"address": "ws://old/", "started_at": Now() - timedelta(hours=1)},
        {"address": "ws://newer/", "started_at": Now() - timedelta(minutes=1)},
        {"address": "ws://ended/", "ended_at": Now()},
        {"address": "ws://late/", "lease_until": late},
        {"address": "", "started_at": Now()},
        {"address": "ws://single/", "service": "weather"},
    )
    assert found == "ws://newer/"


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_server_of_this_machine_goes_before_a_newer_one_of_another() -> None:
    found = address_with(
        {"address": "ws://here/", "started_at": Now() - timedelta(hours=1)},
        {"address": "ws://there/", "host": "another-machine"},
    )
    assert found == "ws://here/"


@pytest.mark.django_db
def test_a_server_that_was_killed_is_not_named_though_its_lease_holds() -> None:
    found = address_with(
        {
            "address": "ws://lives/",
            "process": own_identity(),
            "started_at": Now() - timedelta(days=1),
        },
        {"address": "ws://killed/", "process": f"{own_identity()}9"},
    )
    assert found == "ws://lives/"
