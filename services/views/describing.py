"""Services and instances as JSON: the same for REST, `--json`, the console and Python.

Times are ISO 8601 in UTC. Synchronous reads. `site` is the site's address, as in
`services.routing.endpoints`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.utils import timezone

from agents.models import Run, Session
from myagent.protocol import timestamp_or_none
from services.catalogue import ports
from services.catalogue.registry import CONFIGURATION
from services.models import HealthCheck, Instance, Service
from services.routing.endpoints import endpoint_of
from services.supervision import figures
from services.supervision.figures import Figures
from services.telling import told
from services.views.observers import UNKNOWN, Observers

Json = dict[str, Any]

ENDED_SHOWN = 3
"""Ended instances that are included in a service's status."""

ILL = (Service.Status.ERROR, Service.Status.UNHEALTHY)


def service_json(
    service: Service,
    site: str,
    seen: Figures | None = None,
    observers: Observers | None = None,
    *,
    looks_at_port: bool = False,
) -> Json:
    """`seen`, `observers`: the servers' reports and the supervisors, if they were read already.

    `looks_at_port`: see `trouble_with_port`.
    """
    if seen is None:
        seen = figures.read() if service.port else Figures(())
    trouble = trouble_with_port(service, seen, looks_at_port=looks_at_port)
    observers = observers or Observers.read(service)
    return {
        "service_id": service.pk,
        "name": service.name,
        "description": service.description,
        "agent_factory_path": service.agent_factory_path,
        "url": service.url,
        "host": service.host,
        "port": service.port,
        "own_port_error": told(trouble),
        "endpoint": endpoint_of(service, site),
        "tags": service.tags,
        "status": observers.status_of(service),
        "observed_at": timestamp_or_none(observers.observed_at(service)),
        "desired": service.desired,
        "replicas": service.replicas,
        "weight": service.weight,
        "auto_start": service.auto_start,
        "created_at": timestamp_or_none(service.created_at),
        "started_at": timestamp_or_none(service.started_at),
        "last_health_check": timestamp_or_none(service.last_health_check),
        "error_message": observers.error_of(service),
        "restart_count": service.restart_count,
        "config": {name: getattr(service, name) for name in CONFIGURATION},
    }


def trouble_with_port(service: Service, seen: Figures, *, looks_at_port: bool) -> str:
    """Why the service's own port is not open, as `services.telling` stores it; empty if it is.

    `looks_at_port`: if no server has reported on it, this machine is asked who listens there. That
    costs too much to do for each service of a list.
    """
    trouble = seen.trouble_with_port(service)
    if trouble or not looks_at_port or seen.has_port_open(service):
        return trouble
    return ports.trouble(service)


def instance_json(instance: Instance, endpoint: str, observers: Observers) -> Json:
    """`endpoint`: the service's. A process has no port of its own."""
    report = instance.report
    return {
        "instance_id": instance.pk,
        "state": observers.state_of(instance),
        "observed_at": timestamp_or_none(observers.instance_observed_at(instance)),
        "pid": instance.pid,
        "host": instance.node,
        "address": instance.address,
        "supervisor": instance.kept_by or instance.node,
        "port": None,
        "endpoint": endpoint,
        "started_at": timestamp_or_none(instance.ready_at),
        "restart_count": instance.restart_count,
        "active_sessions": report.get("sessions"),
        "memory_mb": instance.memory_mb,
        "cpu_percent": instance.cpu_percent,
        "loop_lag_ms": report.get("lag_ms"),
        "health": observers.health_of(instance),
        "error": told(instance.error),
        "version": instance.version,
    }


def live_instances(service: Service) -> list[Instance]:
    """Its instances that have not ended, first slots first."""
    return list(service.instances.filter(live_slot__isnull=False).order_by("live_slot"))


def ended_instances(service: Service) -> list[Instance]:
    """Those that ended last, the newest first."""
    ended = service.instances.filter(live_slot__isnull=True, ended_at__isnull=False)
    return list(ended.order_by("-ended_at")[:ENDED_SHOWN])


def ended_json(instance: Instance) -> Json:
    """`exit_code` is negative for a signal, and null if nobody saw it end."""
    return {
        "instance_id": instance.pk,
        "state": instance.state,
        "pid": instance.pid,
        "ended_at": timestamp_or_none(instance.ended_at),
        "exit_code": instance.exit_code,
        "error": told(instance.error),
    }


def live_by_service() -> dict[str, list[Instance]]:
    """The same for all services in one query."""
    live = Instance.objects.filter(live_slot__isnull=False)
    found: dict[str, list[Instance]] = defaultdict(list)
    for instance in live.order_by("live_slot"):
        found[instance.service_id].append(instance)
    return found


def service_health(service: Service, site: str, limit: int = 20) -> Json:
    """How its instances are, and what its last checks found, the newest first."""
    instances, observers = live_instances(service), Observers.read(service)
    endpoint = endpoint_of(service, site)
    return {
        "service_id": service.pk,
        "name": service.name,
        "status": health_of(service, instances, observers),
        "service_status": observers.status_of(service),
        "observed_at": timestamp_or_none(observers.observed_at(service)),
        "error_message": observers.error_of(service),
        "last_health_check": timestamp_or_none(service.last_health_check),
        "summary": health_summary(instances, observers),
        "instances": [instance_json(instance, endpoint, observers) for instance in instances],
        "checks": [health_check_json(check) for check in service.health_checks.all()[:limit]],
    }


def health_check_json(check: HealthCheck) -> Json:
    return {
        "instance_id": check.instance_id,
        "checked_at": timestamp_or_none(check.checked_at),
        "is_healthy": check.is_healthy,
        "latency_ms": check.latency_ms,
        "detail": check.reason,
        "memory_mb": check.memory_mb,
        "active_sessions": check.active_sessions,
        "turns_per_minute": check.turns_per_minute,
        "turn_p95_ms": check.turn_p95_ms,
        "loop_lag_ms": check.loop_lag_ms,
    }


def service_stats(service: Service) -> Json:
    """What the service does now, and figures of its sessions."""
    instances = live_instances(service)
    seen = figures.read().of(service)
    sessions = Session.objects.filter(service=service.name)
    day_ago = timezone.now() - timedelta(days=1)
    runs = Run.objects.filter(session__service=service.name, accepted_at__gte=day_ago)
    by_status = dict(runs.values_list("status").annotate(count=Count("pk")))
    return {
        "service_id": service.pk,
        "name": service.name,
        "status": Observers.read(service).status_of(service),
        "instances": len(instances),
        "active_sessions": seen["active_sessions"] or 0,
        "running_turns": seen["running"] or 0,
        "active_connections": seen["connections"] or 0,
        "turns_per_minute": seen["turns_per_minute"] or 0,
        "turn_p95_ms": seen["turn_p95_ms"] or 0.0,
        "memory_mb": sum(instance.memory_mb or 0.0 for instance in instances),
        "restart_count": service.restart_count,
        "sessions": sessions.count(),
        "runs_last_day": {status: by_status.get(status, 0) for status in Run.Status.values},
    }


def system_stats() -> Json:
    """Counts of the whole site: `services`, `connections`, `sessions`, `health`."""
    observers = Observers.read()
    by_status = observers.count()
    instances = Instance.objects.filter(live_slot__isnull=False)
    seen = figures.read()
    together = seen.together()
    return {
        "services": {"total": sum(by_status.values())} | by_status,
        "connections": {"total_connections": seen.connections},
        "sessions": {
            "active": together["active_sessions"],
            "running": together["running"],
            "stored": Session.objects.count(),
        },
        "health": health_summary(instances, observers),
    }


def health_of(service: Service, instances: Iterable[Instance], observers: Observers) -> str:
    """The health by its last checks, in the words of `services.supervision.health.verdict`.

    Never better than the status of the service itself.
    """
    status = observers.status_of(service)
    if status in ILL:
        return "unhealthy"
    if service.is_external:
        return "healthy" if status == Service.Status.RUNNING else UNKNOWN
    known = [health for health in map(observers.health_of, instances) if health != UNKNOWN]
    if not known:
        return UNKNOWN
    if set(known) == {"unhealthy"}:
        return "unhealthy"
    is_all = set(known) == {"healthy"} and len(known) >= service.replicas
    return "healthy" if is_all else "degraded"


def health_summary(instances: Iterable[Instance], observers: Observers) -> Json:
    """The number of live instances by health."""
    found = [observers.health_of(instance) for instance in instances]
    return {kind: found.count(kind) for kind in Instance.HEALTH} | {"total": len(found)}
