"""Judges the age of what is known about services, in the same way for every interface.

States are written by supervisors. When no supervisor runs any more, what they wrote stays in the
database, and must not be shown as if it were current. Synchronous.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext

from agents.runtime.process import is_provably_gone
from agents.runtime.program import command
from services.models import Instance, Service, Supervisor
from services.telling import told

UNKNOWN = "unknown"

INTERVALS = 3
"""Number of health check intervals after which the observations of a missing supervisor expire."""

CLAIMS = frozenset(
    {
        *(Service.Status.STARTING, Service.Status.RUNNING),
        *(Service.Status.UNHEALTHY, Service.Status.STOPPING),
    }
)
"""States that need an observer to stay true; an ended service stays so until it is started."""


@dataclass(frozen=True, slots=True)
class Place:
    """A live instance: its supervisor, and since when it has been in its state."""

    lease: str
    since: datetime


@dataclass(frozen=True)
class Observers:
    """When services were last observed, and by whom.

    `seen`: when each supervisor last observed its instances; `watching`: the supervisors with a
    valid lease, and of these the `machines`; `places`: the live instances, by service.
    """

    now: datetime
    seen: Mapping[str, datetime] = field(default_factory=dict)
    watching: Collection[str] = ()
    machines: Collection[str] = ()
    places: Mapping[str, Collection[Place]] = field(default_factory=dict)

    @classmethod
    def read(cls, service: Service | None = None) -> Observers:
        """Two queries, for all services or for this one."""
        rows = list(Supervisor.objects.annotate(now=Now()))
        now = rows[0].now if rows else timezone.now()
        watching = [
            row
            for row in rows
            if row.ended_at is None and row.lease_until > now and not is_provably_gone(row.process)
        ]
        return cls(
            now=now,
            seen={row.node: _last_look(row) for row in rows},
            watching={row.node for row in watching},
            machines={row.node for row in watching if row.service_id is None},
            places=_places(service),
        )

    def status_of(self, service: Service) -> str:
        """The observed status; `unknown` if the observation is too old."""
        if service.status in CLAIMS and not self.is_recent(self._last_news(service)):
            return UNKNOWN
        return service.status

    def state_of(self, instance: Instance) -> str:
        if instance.has_ended or self.is_recent(self.instance_observed_at(instance)):
            return instance.state
        return UNKNOWN

    def health_of(self, instance: Instance) -> str:
        return UNKNOWN if self.state_of(instance) == UNKNOWN else instance.health

    def error_of(self, service: Service) -> str:
        """What people are told is wrong, in the active language; empty if nothing is."""
        if self.status_of(service) != UNKNOWN:
            return told(service.error_message)
        sentence = gettext(
            "No supervisor is running: the last observation of this service is {age} old. "
            "Start one with: {command}"
        )
        verb = "supervise" if settings.MYAGENT_SUPERVISOR == "external" else "serve"
        return sentence.format(age=self._age(self._last_news(service)), command=command(verb))

    def observed_at(self, service: Service) -> datetime | None:
        """When the service was last observed; None: never."""
        places = self.places.get(service.pk, ())
        if places and not service.is_external:
            return max(self._seen_at(place.lease, place.since) for place in places)
        if self.machines:
            return self.now
        return service.last_health_check

    def _last_news(self, service: Service) -> datetime:
        """When it was last observed, or somebody last requested a change."""
        observed_at = self.observed_at(service)
        if observed_at is not None and service.pk in self.places:
            return observed_at
        news = (observed_at, service.updated_at, service.cleared_at)
        return max(moment for moment in news if moment is not None)

    def instance_observed_at(self, instance: Instance) -> datetime:
        if instance.has_ended and instance.ended_at is not None:
            return instance.ended_at
        return self._seen_at(_lease_of(instance.kept_by, instance.node), instance.state_since)

    def is_recent(self, moment: datetime) -> bool:
        limit_s = INTERVALS * settings.MYAGENT_HEALTH_INTERVAL_S
        return self.now - moment <= timedelta(seconds=limit_s)

    def with_status(self, services: QuerySet[Service], status: str) -> QuerySet[Service]:
        """The services that are shown with this status."""
        claimed = services.filter(status__in=CLAIMS)
        unknown = [each.pk for each in claimed if self.status_of(each) == UNKNOWN]
        if status == UNKNOWN:
            return services.filter(pk__in=unknown)
        return services.filter(status=status).exclude(pk__in=unknown)

    def count(self) -> dict[str, int]:
        """The number of services shown with each status."""
        counts = dict.fromkeys((*Service.Status.values, UNKNOWN), 0)
        judged_by = ("status", "url", "last_health_check", "updated_at", "cleared_at")
        for service in Service.objects.only(*judged_by):
            counts[self.status_of(service)] += 1
        return counts

    def _seen_at(self, lease: str, since: datetime) -> datetime:
        return self.now if lease in self.watching else self.seen.get(lease, since)

    def _age(self, moment: datetime) -> str:
        seconds = (self.now - moment).total_seconds()
        return f"{seconds:.0f} s" if seconds < 120 else timesince(moment, self.now)


def _places(service: Service | None) -> Mapping[str, Collection[Place]]:
    live = Instance.objects.filter(live_slot__isnull=False)
    if service is not None:
        live = live.filter(service=service)
    found: dict[str, list[Place]] = defaultdict(list)
    for pk, kept_by, node, since in live.values_list(
        "service_id", "kept_by", "node", "state_since"
    ):
        found[pk].append(Place(_lease_of(kept_by, node), since))
    return found


def _lease_of(kept_by: str, node: str) -> str:
    """The key of the `Supervisor` that manages the instance."""
    return kept_by or node


def _last_look(row: Supervisor) -> datetime:
    renewed: datetime = row.lease_until - timedelta(seconds=settings.MYAGENT_LEASE_S)
    return renewed if row.ended_at is None else max(renewed, row.ended_at)
