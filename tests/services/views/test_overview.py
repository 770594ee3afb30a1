"""What the console is told, in how many queries, and what it is not told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from agents.runtime.process import own_identity
from services.models import Instance, Service
from services.views.overview import MAX_DESCRIPTION, MAX_ERROR, MAX_SERVICES, overview
from tests.services.measured import (
    FIGURES,
    REPORT,
    add_instance,
    add_running,
    add_server,
    add_service,
    add_supervisor,
)

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
    with django_assert_num_queries(7):
        overview()
    for number in range(29):
        add_instance(add_running(f"agent-{number}"), slot=1)
    with django_assert_num_queries(7):
        assert len(overview()["services"]) == 30


def test_instances_count_together_and_the_slowest_speaks_for_all() -> None:
    service = add_running("weather", restart_count=2, tags=["demo"])
    add_instance(service, 1, memory_mb=104.0, report=REPORT | {"lag_ms": 20.5})
    seen = only("weather")
    assert seen["measured"] == {
        "active_sessions": 3,
        "turns_per_minute": 12.5,
        "memory_mb": 200.0,
        "turn_p95_ms": 840.0,
        "loop_lag_ms": 20.5,
    }
    assert seen["instances"][1]["measured"] == {
        "active_sessions": 2,
        "memory_mb": 104.0,
        "loop_lag_ms": 20.5,
    }
    assert (seen["status"], seen["desired"], seen["restart_count"]) == ("running", "running", 2)


def test_conversations_count_once_however_many_processes_and_servers_there_are() -> None:
    add_instance(add_running("weather"), 1)
    add_server({"weather": FIGURES | {"turn_p95_ms": 2000.0}, "gone": FIGURES})
    seen = only("weather")["measured"]
    assert (seen["active_sessions"], seen["turns_per_minute"]) == (6, 25)
    assert seen["turn_p95_ms"] == 2000.0
    totals = overview()["totals"]
    assert (totals["running"], totals["active_sessions"]) == (1, 9)


def test_what_is_not_known_is_not_zero() -> None:
    add_service("echo")
    assert set(only("echo")["measured"].values()) == {None}
    assert only("echo")["health"] == "unknown"


def test_an_instance_that_ended_does_not_count() -> None:
    service = add_running("weather")
    add_instance(service, 1, live_slot=None, state=Instance.State.ERROR, ended_at=timezone.now())
    assert len(only("weather")["instances"]) == 1


def test_a_service_is_healthy_where_all_of_it_is_and_unhealthy_where_nothing_is() -> None:
    service = add_running("weather")
    add_instance(service, 1, misses=2)
    assert only("weather")["health"] == "degraded"
    add_instance(service, 2, state=Instance.State.UNHEALTHY)
    assert only("weather")["health"] == "degraded"
    Instance.objects.update(state=Instance.State.UNHEALTHY)
    assert only("weather")["health"] == "unhealthy"


def test_a_report_of_nonsense_does_no_harm() -> None:
    nonsense = {"sessions": "<b>3</b>", "lag_ms": 10**30}
    service = add_running("weather")
    add_instance(service, 1, report=nonsense)
    add_instance(service, 2, report={"sessions": True, "lag_ms": [1]})
    seen = orjson.loads(orjson.dumps(only("weather")))
    assert seen["measured"]["loop_lag_ms"] == pytest.approx(1e30)
    measured = [each["measured"] for each in seen["instances"][1:]]
    assert [each["active_sessions"] for each in measured] == [None, None]
    assert [each["loop_lag_ms"] for each in measured] == [pytest.approx(1e30), None]


def test_secrets_and_paths_stay_where_they_are() -> None:
    add_running("weather", environment="encrypted", agent_factory_path="/home/ada/agent.py")
    add_service("far", url="wss://ada:secret@agents.example.org/ws?token=1", agent_factory_path="")
    text = orjson.dumps(overview()).decode()
    assert not any(each in text for each in ("encrypted", "/home/ada", "secret", "token"))
    assert only("far")["chat"] == "https://agents.example.org/"


def test_a_chat_stays_where_it_is_whatever_becomes_of_its_processes() -> None:
    service = add_service("天气")
    assert only("天气")["chat"] == "/services/%E5%A4%A9%E6%B0%94/"
    add_instance(service)
    assert only("天气")["chat"] == "/services/%E5%A4%A9%E6%B0%94/"


def test_a_supervisor_lives_as_long_as_its_lease() -> None:
    add_supervisor(node="alive", is_automatic=True)
    add_supervisor(node="late", lease_until=Now() - timedelta(seconds=1))
    add_supervisor(node="gone", ended_at=Now())
    (found,) = overview()["supervisors"]
    assert (found["node"], found["is_automatic"]) == ("alive", True)


def test_a_supervisor_that_was_killed_is_gone_before_its_lease_ends() -> None:
    own = own_identity()
    add_supervisor(node="alive", process=own)
    # The time at which the process began is not that of any process here.
    add_supervisor(node="killed", process=f"{own}0")
    assert [each["node"] for each in overview()["supervisors"]] == ["alive"]


def test_who_is_not_described_is_as_its_agent_says() -> None:
    agent = {"name": "shop", "description": "Sells tea."}
    add_service("shop", agent=agent)
    add_service("desk", agent=agent, description="Takes orders.")
    assert [only(name)["description"] for name in ("shop", "desk")] == [
        "Sells tea.",
        "Takes orders.",
    ]


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
