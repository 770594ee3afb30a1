"""What the verbs tell of a service: when it has arrived, how it is, and what can't be changed."""

from __future__ import annotations

import pytest

from services import control, health, registry
from services.errors import Conflict
from services.health import Finding
from services.models import Instance, Service
from tests.services import rows

Status = Service.Status


@pytest.mark.django_db
def test_it_has_not_arrived_before_everybody_is_told_that_it_runs() -> None:
    service = rows.service("weather", Status.STARTING)
    rows.instance(service)
    assert not control.has_arrived(service)
    service.status = Status.RUNNING
    assert control.has_arrived(service)


@pytest.mark.django_db
def test_one_that_is_being_unregistered_is_not_changed_any_more() -> None:
    service = rows.service("weather")
    registry.unregister(service)
    with pytest.raises(Conflict) as refusal:
        registry.change(service, description="New")
    assert refusal.value.code == "unregistered"
    service.refresh_from_db()
    assert service.description == ""


@pytest.mark.parametrize(
    ("status", "details", "verdict"),
    [
        (Status.RUNNING, ["", ""], "healthy"),
        (Status.RUNNING, ["", "", ""], "healthy"),
        (Status.RUNNING, [""], "degraded"),
        (Status.RUNNING, ["", "It did not answer in time."], "degraded"),
        (Status.RUNNING, ["", "", "It did not answer in time."], "degraded"),
        (Status.RUNNING, ["It did not answer in time."], "unhealthy"),
        (Status.ERROR, [], "unhealthy"),
        (Status.UNHEALTHY, [], "unhealthy"),
        (Status.STARTING, [], "unknown"),
        (Status.STOPPED, [], "unknown"),
    ],
)
def test_a_service_of_two_is_as_its_processes_are(
    status: str, details: list[str], verdict: str
) -> None:
    service = Service(replicas=2, status=status)
    findings = [Finding(Instance(), detail) for detail in details]
    assert health.verdict(service, findings) == verdict


def test_a_service_elsewhere_is_one_however_many_are_wanted() -> None:
    service = Service(url="ws://somewhere.example/", replicas=3, status=Status.STARTING)
    assert health.verdict(service, [Finding(service, "")]) == "healthy"
