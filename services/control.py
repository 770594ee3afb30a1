"""Start, stop, restart: called by every interface.

They set the desired state; the supervisor acts. An external service is only open or closed to
clients. Synchronous. What is refused raises
`services.errors.ServiceError`.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Case, F, QuerySet, Value, When
from django.utils import timezone
from django.utils.translation import gettext_noop

from services import doorbell
from services.catalogue import ports
from services.errors import Conflict, being_unregistered
from services.models import Instance, Service
from services.supervision.observing import was_given_up
from services.supervision.supervisor_lease import machines_supervised

Desired = Service.Desired
Status = Service.Status


def start(service: Service) -> None:
    """Sets it to run and clears earlier failures. Does nothing to a service that runs well.

    Raises `Conflict`, also if somebody else has its port.
    """
    _desire_running(service)


def stop(service: Service) -> None:
    """Sets it to stop: runs finish within the grace period, then its processes end.

    The clients of an external service are disconnected.
    """
    # Nobody will observe that an external one has stopped: nothing runs here.
    at_once = {"status": Status.STOPPED, "error_message": ""} if service.is_external else {}
    _desire(service, Desired.STOPPED, **at_once)


def restart(service: Service) -> None:
    """Has every instance replaced by a new one; one that is stopped is started.

    Raises `Conflict`, also if it is external, or is stopped and somebody else has its port.
    """
    if service.is_external:
        raise Conflict(
            "external",
            gettext_noop("'{name}' runs elsewhere: it can't be restarted from here."),
            name=service.name,
        )
    _desire_running(service, generation=F("generation") + 1)


def has_arrived(service: Service) -> bool:
    """Whether the observed state is the desired one. `service`: freshly read."""
    live = Instance.objects.filter(service=service, live_slot__isnull=False)
    if service.desired == Desired.STOPPED:
        return service.status == Status.STOPPED and not live.exists()
    if service.status != Status.RUNNING:
        return False  # Its instances are ready, but its status is not written yet.
    if service.is_external:
        return True
    if live.exclude(generation=service.generation).exists():
        return False
    replicas = live.filter(kept_by="")
    if not (replicas.exists() or machines_supervised().exists()):
        # It can only have workers left that have their own supervisors.
        return live.filter(state=Instance.State.RUNNING).exists()
    running = replicas.filter(state=Instance.State.RUNNING)
    return running.count() == service.replicas == replicas.count()


def has_failed(service: Service) -> bool:
    """Whether it can't get there unless a person acts. `service`: freshly read."""
    if service.desired != Desired.RUNNING:
        return False
    if service.status != Status.UNHEALTHY:
        return bool(service.status == Status.ERROR)
    # Some of it may serve, and no more be started. What only misses checks may answer again.
    return bool(service.error_message) if service.is_external else was_given_up(service)


def _desire_running(service: Service, **changes: Any) -> None:
    """A service that is to run already has claimed its port."""
    with transaction.atomic():
        # Locked, so that neither the desired state nor the port changes before the claim.
        row = _kept(service).select_for_update().first()
        if row is not None and row.desired != Desired.RUNNING:
            ports.claim(row.name, row.host, row.port, of=[Desired.RUNNING])
        _desire(service, Desired.RUNNING, **changes)


def _kept(service: Service) -> QuerySet[Service]:
    """Its row; none if it is being unregistered, or gone."""
    return Service.objects.filter(pk=service.pk, unregistered_at__isnull=True)


def _desire(service: Service, desired: Desired, **changes: Any) -> None:
    changes["desired"] = desired
    if desired == Desired.RUNNING:
        # What was observed before does not answer the new request.
        begins = When(status__in=(Status.STOPPED, Status.ERROR), then=Value(Status.STARTING))
        changes |= {
            "cleared_at": timezone.now(),
            "status": Case(begins, default=F("status")),
            "error_message": "",
            "restart_count": 0,
        }
    if not doorbell.change(_kept(service), **changes):
        raise being_unregistered(service.name)
    try:
        service.refresh_from_db()
    except Service.DoesNotExist as error:
        raise being_unregistered(service.name) from error
