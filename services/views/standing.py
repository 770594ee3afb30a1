"""The status of a service in words, and the actions on it: shared by the admin and the console."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils import translation
from django.utils.translation import gettext_noop

from services import control
from services.models import Instance, Service
from services.routing.endpoints import chat_of
from services.views.describing import health_of
from services.views.observers import UNKNOWN, Observers

STATES = {
    "stopped": gettext_noop("Stopped"),
    "starting": gettext_noop("Starting"),
    "running": gettext_noop("Running"),
    "unhealthy": gettext_noop("Unhealthy"),
    "draining": gettext_noop("Finishing its runs"),
    "stopping": gettext_noop("Stopping"),
    "error": gettext_noop("Error"),
    UNKNOWN: gettext_noop("Not known"),
}
"""Texts for the states of services and of their instances."""

HEALTH = {
    "healthy": gettext_noop("Healthy"),
    "degraded": gettext_noop("Degraded"),
    "unhealthy": gettext_noop("Unhealthy"),
    UNKNOWN: gettext_noop("Not checked"),
}

DESIRED = {
    "running": gettext_noop("should run"),
    "stopped": gettext_noop("should be stopped"),
}

LEAVING = gettext_noop("Being unregistered")

AT_REST = (Service.Status.STOPPED, Service.Status.STOPPING)


@dataclass(frozen=True, slots=True)
class Standing:
    """`status`, `health`: kinds, for programs and colours; the texts are in the active language.

    `aim_text`: the desired state, if it differs from the observed one; else empty. `chat`: the
    address of its chat page; empty if there is none or the service can't be reached. `verbs`: the
    actions that make sense now, of start, stop and restart.
    """

    status: str
    status_text: str
    aim_text: str
    health: str
    health_text: str
    chat: str
    verbs: Sequence[str]

    @property
    def text(self) -> str:
        return f"{self.status_text}, {self.aim_text}" if self.aim_text else self.status_text


def standing_of(service: Service, live: Sequence[Instance], observers: Observers) -> Standing:
    """`live`: its instances that have not ended."""
    status = observers.status_of(service)
    is_leaving = service.unregistered_at is not None
    health = health_of(service, live, observers)
    return Standing(
        status="stopping" if is_leaving else status,
        status_text=translation.gettext(LEAVING) if is_leaving else state_text(status),
        aim_text="" if is_leaving or _is_as_desired(service, status) else _aim(service),
        health=health,
        health_text=health_text(health),
        chat="" if _is_out_of_reach(service, status) else chat_of(service),
        verbs=verbs_of(service, live),
    )


def state_text(state: str) -> str:
    return translation.gettext(STATES[state])


def health_text(health: str) -> str:
    return translation.gettext(HEALTH[health])


def verbs_of(service: Service, live: Iterable[Instance]) -> Sequence[str]:
    """The actions that make sense now, of start, stop and restart."""
    if service.unregistered_at is not None:
        return ()
    if service.desired == Service.Desired.STOPPED:
        return ("start",)
    if service.is_external:
        return ("stop",)
    if not control.has_failed(service):
        return ("stop", "restart")
    # A service that was given up may have nothing left to stop.
    return ("start", "stop", "restart") if any(live) else ("start",)


def _is_as_desired(service: Service, status: str) -> bool:
    return (status in AT_REST) == (service.desired == Service.Desired.STOPPED)


def _aim(service: Service) -> str:
    return translation.gettext(DESIRED[service.desired])


def _is_out_of_reach(service: Service, status: str) -> bool:
    """Whether an external service, and hence its chat page, can't be reached.

    The chat pages of our own services are always available: they show the sessions, and say if the
    service does not run.
    """
    return service.is_external and status == Service.Status.UNHEALTHY
