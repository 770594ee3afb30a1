"""A service's state in words, for the list and for its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, QuerySet
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy

from services import control
from services.models import Instance, Service
from services.supervision.figures import Figures
from services.views.describing import health_of

HEALTH = {
    "healthy": gettext_lazy("healthy"),
    "degraded": gettext_lazy("degraded"),
    "unhealthy": gettext_lazy("unhealthy"),
    "unknown": gettext_lazy("unknown"),
}
"""From the best to the absence of a finding."""

UNREGISTERING = gettext_lazy("being unregistered")
NOTHING = "–"

SERVING = (Service.Status.RUNNING, Service.Status.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and its kind, which decides its colour."""

    text: str
    kind: str = ""


def with_live_instances(services: QuerySet[Service]) -> QuerySet[Service]:
    """The services with their live instances: two queries for all of them."""
    live = Instance.objects.filter(live_slot__isnull=False)
    return services.prefetch_related(Prefetch("instances", live, to_attr="live"))


def live_of(service: Service) -> list[Instance]:
    """`service`: read through `with_live_instances`."""
    live: list[Instance] = service.live  # type: ignore[attr-defined]
    return live


def cells_of(service: Service, seen: Figures) -> dict[str, Cell]:
    """`service`: read through `with_live_instances`."""
    live = live_of(service)
    health = health_of(service, live)
    sessions = seen.of(service)["active_sessions"]
    is_going = service.unregistered_at is not None
    status = UNREGISTERING if is_going else service.get_status_display()
    return {
        "status": Cell(str(status), "stopping" if is_going else service.status),
        "desired": Cell(service.get_desired_display(), service.desired),
        "health": Cell(str(HEALTH[health]), health),
        "sessions": Cell(NOTHING if sessions is None else str(sessions)),
        "uptime": Cell(since(service.started_at) if service.status in SERVING else NOTHING),
        "restarts": Cell(str(service.restart_count), "some" if service.restart_count else ""),
    }


def since(moment: datetime | None) -> str:
    """How long ago, in words."""
    return NOTHING if moment is None else timesince(moment)


def verbs_of(service: Service) -> Sequence[str]:
    """Which of start, stop and restart make sense now."""
    if service.is_external or service.unregistered_at is not None:
        return ()
    if service.desired == Service.Desired.STOPPED:
        return ("start",)
    return ("start", "stop", "restart") if control.has_failed(service) else ("stop", "restart")
