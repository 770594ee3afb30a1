"""A service's state in words, for the list and for its page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Prefetch, QuerySet
from django.utils.timesince import timesince

from services.models import Instance, Service
from services.supervision import figures
from services.supervision.figures import Figures
from services.views.observers import Observers
from services.views.standing import standing_of

NOTHING = "–"

SERVING = (Service.Status.RUNNING, Service.Status.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and its kind, which decides its colour."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Glance:
    """The servers' reports and the supervisors, read once for many services."""

    figures: Figures
    observers: Observers

    @classmethod
    def read(cls) -> Glance:
        return cls(figures.read(), Observers.read())


def with_live_instances(services: QuerySet[Service]) -> QuerySet[Service]:
    """The services with their live instances: two queries for all of them."""
    live = Instance.objects.filter(live_slot__isnull=False)
    return services.prefetch_related(Prefetch("instances", live, to_attr="live"))


def live_of(service: Service) -> list[Instance]:
    """`service`: read through `with_live_instances`."""
    live: list[Instance] = service.live  # type: ignore[attr-defined]
    return live


def cells_of(service: Service, glance: Glance) -> dict[str, Cell]:
    """`service`: read through `with_live_instances`."""
    standing = standing_of(service, live_of(service), glance.observers)
    sessions = glance.figures.of(service)["active_sessions"]
    return {
        "status": Cell(standing.status_text, standing.status),
        "desired": Cell(service.get_desired_display(), service.desired),
        "health": Cell(standing.health_text, standing.health),
        "sessions": Cell(NOTHING if sessions is None else str(sessions)),
        "uptime": Cell(since(service.started_at) if standing.status in SERVING else NOTHING),
        "restarts": Cell(str(service.restart_count), "some" if service.restart_count else ""),
    }


def since(moment: datetime | None) -> str:
    """How long ago, in words."""
    return NOTHING if moment is None else timesince(moment)
