"""The admin and the console show the same, consistent state of a service."""

from __future__ import annotations

import pytest
from django.utils import timezone

from services.models import Instance, Service
from services.views.describing import live_instances
from services.views.observers import Observers
from services.views.overview import overview
from services.views.standing import Standing, standing_of
from tests.services.measured import add_running, add_service

pytestmark = pytest.mark.django_db

Status = Service.Status


def standing(service: Service) -> Standing:
    service.refresh_from_db()
    return standing_of(service, live_instances(service), Observers.read(service))


@pytest.mark.parametrize("status", [Status.UNHEALTHY, Status.ERROR])
def test_a_service_in_trouble_is_not_called_healthy(status: str) -> None:
    service = add_running("weather")
    Service.objects.filter(pk=service.pk).update(status=status)
    assert (standing(service).health, standing(service).health_text) == ("unhealthy", "Unhealthy")


def test_a_state_that_is_not_what_is_desired_says_so() -> None:
    service = add_service("weather", Status.STARTING)
    Service.objects.filter(pk=service.pk).update(desired=Service.Desired.STOPPED)
    assert standing(service).text == "Starting, should be stopped"


def test_one_elsewhere_that_cannot_be_reached_offers_no_chat() -> None:
    far = add_service("far", Status.UNHEALTHY, url="wss://far.example/", agent_factory_path="")
    assert standing(far).chat == ""
    Service.objects.filter(pk=far.pk).update(status=Status.RUNNING)
    assert standing(far).chat == "https://far.example/"


def test_one_that_crashed_has_nothing_to_stop() -> None:
    service = add_service("weather", Status.ERROR)
    Service.objects.filter(pk=service.pk).update(desired=Service.Desired.RUNNING)
    assert standing(service).verbs == ("start",)


def test_one_that_leaves_offers_nothing() -> None:
    service = add_running("weather")
    Service.objects.filter(pk=service.pk).update(unregistered_at=timezone.now())
    assert (standing(service).text, standing(service).verbs) == ("Being unregistered", ())


def test_the_console_is_told_the_same() -> None:
    service = add_running("weather")
    Instance.objects.update(misses=1)
    seen = overview()["services"][0]
    own = standing(service)
    assert (seen["state_text"], seen["health_text"]) == (own.text, own.health_text)
    assert (seen["verbs"], seen["chat"]) == (own.verbs, own.chat)
    assert seen["instances"][0]["health_text"] == "Degraded"
