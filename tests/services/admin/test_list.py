"""The list: everything at a glance, found by word, state and tag, and never slower by the row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from services.models import Instance, Service
from tests.services.measured import add_server

from .conftest import LIST, MakeInstance, MakeService

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

Status = Service.Status


def cells(client: Client, service: Service) -> dict[str, str]:
    answer = client.get(f"{LIST}live/", {"id": service.pk}).json()["services"][service.pk]
    return {name: cell["text"] for name, cell in answer["cells"].items()}


def names(response: Any) -> list[str]:
    return [service.name for service in response.context["cl"].result_list]


def test_a_row_tells_everything_of_a_service(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    started = timezone.now() - timedelta(hours=3)
    service = make_service(
        tags=["demo", "预报"],
        auto_start=True,
        status=Status.RUNNING,
        started_at=started,
        restart_count=2,
    )
    make_instance(service, 0)
    make_instance(service, 1, misses=1)
    ended = make_instance(service, 2)
    for number in (4, 3):
        add_server({service.name: {"active_sessions": number}})
    Instance.objects.filter(pk=ended.pk).update(live_slot=None, state=Instance.State.STOPPED)
    assert cells(chief, service) == {
        "status": "Running",
        "desired": "running",
        "health": "Degraded",
        "sessions": "7",
        "uptime": "3\xa0hours",
        "restarts": "2",
    }
    text = chief.get(LIST).content.decode()
    for shown in ("weather", "demo", "预报", "weather.py", "Degraded", "3\xa0hours"):
        assert shown in text


@pytest.mark.parametrize(
    ("states", "health"),
    [
        ([], "Not checked"),
        ([Instance.State.STARTING], "Not checked"),
        ([Instance.State.RUNNING], "Healthy"),
        ([Instance.State.RUNNING, Instance.State.UNHEALTHY], "Degraded"),
        ([Instance.State.UNHEALTHY], "Unhealthy"),
    ],
)
def test_the_health_is_that_of_all_instances_together(
    chief: Client,
    make_service: MakeService,
    make_instance: MakeInstance,
    states: list[str],
    health: str,
) -> None:
    service = make_service()
    for slot, state in enumerate(states):
        make_instance(service, slot, state=state)
    assert cells(chief, service)["health"] == health


def test_an_external_service_is_as_healthy_as_it_was_found(
    chief: Client, make_service: MakeService
) -> None:
    for status, health in ((Status.RUNNING, "Healthy"), (Status.UNHEALTHY, "Unhealthy")):
        service = make_service(str(status), url="ws://far.example", status=status)
        assert cells(chief, service)["health"] == health


def test_a_service_that_is_being_unregistered_is_said_to_be(
    chief: Client, make_service: MakeService
) -> None:
    service = make_service()
    Service.objects.update(unregistered_at=timezone.now())
    assert cells(chief, service)["status"] == "Being unregistered"


@pytest.fixture
def three(make_service: MakeService) -> Iterator[None]:
    make_service("weather", tags=["demo", "预报"], description="Tells the sky's mood")
    make_service("echo", tags=["Demo2"], auto_start=True, status=Status.RUNNING)
    make_service("shop", description="Sells tea", status=Status.ERROR)
    yield


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("weath", ["weather"]),
        ("TEA", ["shop"]),
        ("demo", ["echo", "weather"]),
        ("预报", ["weather"]),
        ("demo mood", ["weather"]),
        ("demo tea", []),
        ('"%_\\', []),
    ],
)
def test_services_are_found_by_name_description_and_tag(
    chief: Client, words: str, found: list[str]
) -> None:
    assert names(chief.get(LIST, {"q": words})) == found


@pytest.mark.usefixtures("three")
def test_services_are_filtered_by_status_desired_and_tag(chief: Client) -> None:
    assert names(chief.get(LIST, {"status__exact": "running"})) == ["echo"]
    assert names(chief.get(LIST, {"desired__exact": "stopped"})) == ["shop", "weather"]
    assert names(chief.get(LIST, {"tag": "预报"})) == ["weather"]
    # A tag is a word of its own: not a part of one.
    assert names(chief.get(LIST, {"tag": "demo"})) == ["weather"]


def test_a_long_list_takes_as_many_queries_as_a_short_one(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert chief.get(address).status_code == 200
        return len(captured)

    def add(count: int) -> None:
        for number in range(count):
            service = make_service(f"s{Service.objects.count()}", tags=[f"t{number}"])
            make_instance(service)
            add_server({service.name: {"active_sessions": 1}})

    def live() -> str:
        ids = "&".join(f"id={pk}" for pk in Service.objects.values_list("pk", flat=True))
        return f"{LIST}live/?{ids}"

    add(2)
    few = queries(LIST), queries(live())
    add(12)
    assert (queries(LIST), queries(live())) == few


def test_of_services_that_are_gone_nothing_is_said(
    chief: Client, make_service: MakeService
) -> None:
    service = make_service()
    answer = chief.get(f"{LIST}live/", {"id": [service.pk, "gone"]}).json()
    assert list(answer["services"]) == [service.pk]


def test_whatever_a_service_is_called_is_only_text(
    chief: Client, make_service: MakeService
) -> None:
    evil = '<script>alert(1)</script>"onmouseover="x'
    service = make_service(description=evil)
    Service.objects.update(name=evil[:90], tags=[evil], agent_factory_path=f"/{evil}")
    for address in (LIST, f"{LIST}{service.pk}/change/", f"{LIST}{service.pk}/delete/"):
        text = chief.get(address).content.decode()
        assert "<script>alert" not in text
        assert '"onmouseover' not in text
