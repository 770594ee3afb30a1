"""What a service's error says is what is wrong with it now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from services import control
from services.models import HealthCheck, Instance, Service
from services.supervision import observing, status
from services.supervision.health import TOO_LATE
from services.telling import kept, told
from tests.services import rows

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

OLD = "It was killed by signal 9 (SIGKILL).\nThe last lines of its log:\nRuntimeError: secret"


def failed_before(**fields: object) -> Service:
    """A service one of whose processes failed a while ago, for another reason."""
    service = rows.service("weather", Service.Status.UNHEALTHY, **fields)
    rows.instance(
        service,
        Instance.State.ERROR,
        cause=Instance.Cause.CRASH,
        error=OLD,
        ended_at=timezone.now() - timedelta(minutes=1),
    )
    return service


def checked(instance: Instance, *details: str) -> None:
    """Newest last; '' passed."""
    for number, detail in enumerate(details):
        HealthCheck.objects.create(
            service_id=instance.service_id,
            instance=instance,
            checked_at=timezone.now() + timedelta(seconds=number),
            is_healthy=not detail,
            detail=detail,
        )


def noted(service: Service) -> Service:
    (observation,) = observing.read_all()
    status.note(observation, service.status)
    service.refresh_from_db()
    return service


def test_why_a_service_does_not_answer_is_not_why_its_process_before_failed() -> None:
    service = failed_before()
    ill = rows.instance(service, Instance.State.UNHEALTHY, misses=3)
    checked(ill, "It was slow.", "", kept(TOO_LATE))
    assert told(noted(service).error_message) == "It did not answer in time."
    HealthCheck.objects.all().delete()
    assert told(noted(service).error_message) == "Its last checks failed."


def test_a_service_that_fails_to_answer_for_the_first_time_has_a_reason_too() -> None:
    service = rows.service("weather", Service.Status.UNHEALTHY)
    checked(rows.instance(service, Instance.State.UNHEALTHY, misses=3), kept(TOO_LATE))
    assert told(noted(service).error_message) == "It did not answer in time."


def test_while_it_starts_again_its_error_is_why_it_failed() -> None:
    service = failed_before()
    rows.instance(service, Instance.State.STARTING)
    assert noted(service).error_message == OLD


def test_what_only_misses_checks_may_answer_again_and_what_was_given_up_does_not() -> None:
    service = failed_before()
    rows.instance(service, Instance.State.UNHEALTHY, misses=3)
    noted(service)
    assert service.error_message
    assert not control.has_failed(service)
    Service.objects.update(auto_restart=False)
    service.refresh_from_db()
    assert noted(service).error_message == OLD
    assert control.has_failed(service)
    # Somebody tries again.
    control.start(service)
    assert not control.has_failed(service)


def test_a_service_elsewhere_that_does_not_answer_has_failed_until_somebody_tries_again() -> None:
    service = rows.service(
        "far", Service.Status.UNHEALTHY, url=rows.EXTERNAL, error_message="Refused."
    )
    assert control.has_failed(service)
    control.start(service)
    assert not control.has_failed(service)
