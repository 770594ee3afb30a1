"""What the console is told, in how many queries, and what it is not told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from services.models import Instance, Service
from services.overview import MAX_DESCRIPTION, MAX_ERROR, MAX_SERVICES, measurements, overview
from tests.services.measured import REPORT, add_instance, add_running, add_service, add_supervisor

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def only(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [each for each in overview()["services"] if each["name"] == name]
    (service,) = found
    return service


def test_an_empty_site_has_nothing_to_show() -> None:
    assert overview() == {
        "totals": {
            "services": 0,
            "running": 0,
            "troubled": 0,
            "active_sessions": 0,
            "turns_per_minute": 0,
        },
        "supervisors": [],
        "services": [],
    }


def test_thirty_services_cost_as_many_queries_as_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    add_running("first")
    with django_assert_num_queries(4):
        overview()
    for number in range(29):
        add_instance(add_running(f"agent-{number}"), slot=1)
    with django_assert_num_queries(4):
        assert len(overview()["services"]) == 30


def test_instances_count_together_and_the_slowest_speaks_for_all() -> None:
    service = add_running("weather", restart_count=2, tags=["demo"])
    add_instance(service, 1, memory_mb=104.0, report=REPORT | {"turn_p95_ms": 2000.0})
    seen = only("weather")
    assert seen["measured"] == {
        "active_sessions": 6,
        "turns_per_minute": 25.0,
        "memory_mb": 200.0,
        "turn_p95_ms": 2000.0,
        "loop_lag_ms": 1.25,
    }
    assert (seen["status"], seen["desired"], seen["restart_count"]) == ("running", "running", 2)
    assert [each["port"] for each in seen["instances"]] == [8100, 8101]
    totals = overview()["totals"]
    assert (totals["running"], totals["active_sessions"], totals["turns_per_minute"]) == (1, 6, 25)


def test_what_is_not_known_is_not_zero() -> None:
    add_service("echo")
    assert set(only("echo")["measured"].values()) == {None}
    assert only("echo")["health"] == "unknown"


def test_an_instance_that_ended_does_not_count() -> None:
    service = add_running("weather")
    add_instance(service, 1, live_slot=None, state=Instance.State.ERROR, ended_at=timezone.now())
    assert len(only("weather")["instances"]) == 1


def test_the_health_of_a_service_is_that_of_its_worst_instance() -> None:
    service = add_running("weather")
    add_instance(service, 1, misses=2)
    assert only("weather")["health"] == "failing"
    add_instance(service, 2, state=Instance.State.UNHEALTHY)
    assert only("weather")["health"] == "unhealthy"


def test_a_report_of_nonsense_does_no_harm() -> None:
    nonsense = {
        "active_sessions": "<b>3</b>",
        "turns_per_minute": [1],
        "turn_p95_ms": True,
        "loop_lag_ms": 10**30,
    }
    measured = measurements([nonsense | {"memory_mb": float("nan")}])
    assert measured == {
        "active_sessions": None,
        "turns_per_minute": None,
        "memory_mb": None,
        "turn_p95_ms": None,
        "loop_lag_ms": 1e30,
    }
    service = add_running("weather")
    add_instance(service, 1, report=nonsense)
    assert orjson.loads(orjson.dumps(overview()))["totals"]["active_sessions"] == 3


def test_secrets_and_paths_stay_where_they_are() -> None:
    add_running("weather", environment="encrypted", agent_factory_path="/home/ada/agent.py")
    add_service("far", url="wss://ada:secret@agents.example.org/ws?token=1", agent_factory_path="")
    text = orjson.dumps(overview()).decode()
    assert not any(each in text for each in ("encrypted", "/home/ada", "secret", "token"))
    assert only("far")["chat"] == "https://agents.example.org/"


def test_a_chat_is_where_an_instance_serves() -> None:
    service = add_service("weather", desired="running", status="starting")
    instance = add_instance(service, state=Instance.State.STARTING, host="0.0.0.0")
    assert only("weather")["chat"] == ""
    Instance.objects.filter(pk=instance.pk).update(state=Instance.State.RUNNING)
    assert only("weather")["chat"] == "http://localhost:8100/"
    assert only("weather")["is_on_every_address"]


def test_a_supervisor_lives_as_long_as_its_lease() -> None:
    add_supervisor(node="alive", is_automatic=True)
    add_supervisor(node="late", lease_until=Now() - timedelta(seconds=1))
    add_supervisor(node="gone", ended_at=Now())
    (found,) = overview()["supervisors"]
    assert (found["node"], found["is_automatic"]) == ("alive", True)


def test_long_texts_are_cut() -> None:
    add_service("wordy", description="x" * 10_000, error_message="y" * 100_000, status="error")
    assert len(only("wordy")["description"]) == MAX_DESCRIPTION
    assert len(only("wordy")["error_message"]) == MAX_ERROR


def test_of_very_many_services_all_are_counted_and_some_are_shown() -> None:
    Service.objects.bulk_create(
        Service(id=str(number), name=f"s{number:04}") for number in range(MAX_SERVICES + 5)
    )
    seen = overview()
    assert seen["totals"]["services"] == MAX_SERVICES + 5
    assert len(seen["services"]) == MAX_SERVICES
