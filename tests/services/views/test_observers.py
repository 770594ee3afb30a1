"""What has not been observed for too long is unknown, in every interface."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F
from django.db.models.functions import Now

from agents.runtime.process import own_identity
from services.admin.glance import Glance, cells_of, with_live_instances
from services.models import Instance, Service, Supervisor
from services.nodes import this_node
from services.views import describing, overview
from services.views.observers import UNKNOWN, Observers
from tests.services import rows
from tests.services.measured import add_running, add_supervisor

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

LONG_AGO = timedelta(minutes=35)


def let_pass(time: timedelta = LONG_AGO) -> None:
    """Makes all observations older by this time."""
    Supervisor.objects.update(lease_until=F("lease_until") - time)
    Supervisor.objects.exclude(ended_at=None).update(ended_at=F("ended_at") - time)
    Instance.objects.update(state_since=F("state_since") - time)
    Service.objects.update(updated_at=F("updated_at") - time)


def seen_of(service: Service) -> str:
    service.refresh_from_db()
    return Observers.read().status_of(service)


@pytest.fixture
def service() -> Service:
    """A service that was running while its supervisor was there."""
    add_supervisor(node=this_node(), process=own_identity())
    return add_running("weather")


def test_while_a_supervisor_looks_what_it_saw_holds(service: Service) -> None:
    Instance.objects.update(state_since=F("state_since") - LONG_AGO)
    Service.objects.update(updated_at=F("updated_at") - LONG_AGO)
    assert seen_of(service) == "running"


@pytest.mark.parametrize("way", ["its lease ended", "it left", "its process is gone"])
def test_what_a_supervisor_saw_that_is_there_no_more_is_unknown_after_three_intervals(
    service: Service, way: str, settings: Any
) -> None:
    if way == "it left":
        Supervisor.objects.update(ended_at=Now())
    let_pass()
    if way == "its process is gone":
        ours = Supervisor.objects.get().process
        gone = "/".join([*ours.split("/")[:3], "1"])
        Supervisor.objects.update(process=gone, lease_until=Now() + timedelta(seconds=1))
        settings.MYAGENT_HEALTH_INTERVAL_S = 0.1
    assert seen_of(service) == UNKNOWN


def test_a_supervisor_that_is_followed_at_once_leaves_no_gap(service: Service) -> None:
    Supervisor.objects.update(ended_at=Now())
    assert seen_of(service) == "running"


def test_what_has_ended_is_known_without_anybody_who_looks(service: Service) -> None:
    let_pass()
    for status in (Service.Status.STOPPED, Service.Status.ERROR):
        Service.objects.update(status=status)
        assert seen_of(service) == status


def test_another_machine_s_supervisor_does_not_vouch_for_this_one_s_processes(
    service: Service,
) -> None:
    let_pass()
    add_supervisor(node="elsewhere")
    assert seen_of(service) == UNKNOWN


def test_an_external_service_is_known_by_its_checks() -> None:
    service = rows.service("far", url=rows.EXTERNAL, agent_factory_path="")
    Service.objects.update(last_health_check=Now(), updated_at=F("updated_at") - LONG_AGO)
    assert seen_of(service) == "running"
    Service.objects.update(last_health_check=Now() - LONG_AGO)
    assert seen_of(service) == UNKNOWN


def test_what_is_to_start_is_waited_for_before_it_is_unknown() -> None:
    service = rows.service("new", Service.Status.STARTING)
    assert seen_of(service) == "starting"
    let_pass()
    assert seen_of(service) == UNKNOWN


def told(*command: str) -> Any:
    out = io.StringIO()
    call_command("services", *command, stdout=out)
    return json.loads(out.getvalue()) if "--json" in command else out.getvalue()


def test_every_door_says_so_with_the_sentence_and_the_age(service: Service) -> None:
    let_pass()
    service.refresh_from_db()
    (listed,) = told("list", "--json")
    (at_a_glance,) = overview.overview()["services"]
    for seen in (
        *(listed, told("status", "weather", "--json"), told("health", "weather", "--json")),
        *(describing.service_json(service, ""), at_a_glance),
    ):
        assert seen["status"] == UNKNOWN
        assert seen["observed_at"] < listed["created_at"]
        assert seen["error_message"].startswith("No supervisor is running: the last observation")
        assert "minutes old" in seen["error_message"]
        for instance in seen.get("instances", ()):
            assert (instance["state"], instance["health"]) == (UNKNOWN, UNKNOWN)
    assert at_a_glance["health"] == UNKNOWN
    assert describing.service_stats(service)["status"] == UNKNOWN
    system = describing.system_stats()
    assert (system["services"][UNKNOWN], system["services"]["running"]) == (1, 0)
    assert system["health"][UNKNOWN] == 1
    cells = cells_of(with_live_instances(Service.objects.all())[0], Glance.read())
    assert (cells["status"].kind, cells["health"].kind) == (UNKNOWN, UNKNOWN)
    assert "No supervisor is running" in told("health", "weather")


def test_lists_by_status_go_by_what_is_shown(service: Service) -> None:
    let_pass()
    assert told("list", "--json", "--status", "running") == []
    assert [each["name"] for each in told("list", "--json", "--status", UNKNOWN)] == ["weather"]
