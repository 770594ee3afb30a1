"""All services at a glance, as the console shows them: four queries, however many there are.

Synchronous reads; JSON as in `services.describing`, less what nobody reads at a glance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Count

from agents.addresses import is_everywhere
from agents.models import LEASE_HOLDS
from myagent.protocol import timestamp
from services.describing import Json, health_of, instance_json, live_by_service, service_json
from services.models import Instance, Service, Supervisor

MAX_SERVICES = 200
"""Services that are listed; all are counted."""

HOST = re.compile(r"[\w.:\[\]-]+")
MAX_DESCRIPTION = 300
MAX_ERROR = 4000
"""Characters of it that are shown; its first lines say what is wrong."""

SHOWN = (
    "service_id",
    "name",
    "tags",
    "status",
    "desired",
    "replicas",
    "started_at",
    "last_health_check",
    "restart_count",
)
INSTANCE_SHOWN = ("instance_id", "state", "pid", "port", "started_at", "restart_count", "health")

SUMMED = ("active_sessions", "turns_per_minute", "memory_mb")
"""Measurements of which a service has as much as its instances together."""

WORST = ("turn_p95_ms", "loop_lag_ms")
"""Measurements of which a service has that of its worst instance."""

MEASURED = (*SUMMED, *WORST)


def overview() -> Json:
    """`totals`, `supervisors` that are alive, and `services` by name."""
    instances = live_by_service()
    services = Service.objects.order_by("name")[:MAX_SERVICES]
    return {
        "totals": _totals([each for some in instances.values() for each in some]),
        "supervisors": supervisors(),
        "services": [_service(service, instances.get(service.pk, [])) for service in services],
    }


def supervisors() -> list[Json]:
    """Those whose lease holds, by the database's clock."""
    alive = Supervisor.objects.filter(LEASE_HOLDS)
    return [
        {"node": each.node, "since": timestamp(each.started_at), "is_automatic": each.is_automatic}
        for each in alive.order_by("node")[:20]
    ]


def chat_address(service: Service, instances: Iterable[Instance]) -> str:
    """Where people talk to it; empty while nothing serves."""
    if service.is_external:
        parts = urlsplit(service.url)
        # Without the name and password that an address may hold.
        host = parts.netloc.rpartition("@")[2]
        scheme = "https" if parts.scheme == "wss" else "http"
        return f"{scheme}://{host}/" if HOST.fullmatch(host) else ""
    return ""


def is_on_every_address(service: Service, instances: Sequence[Instance]) -> bool:
    """Whether its chat is also where the site is, under whatever name that is reached."""
    return not service.is_external and is_everywhere(service.host)


def measurements(instances: Sequence[Json]) -> dict[str, float | None]:
    """What the instances do together; null where none of them said so."""
    found = {name: _numbers(each.get(name) for each in instances) for name in MEASURED}
    return {name: sum(found[name]) if found[name] else None for name in SUMMED} | {
        name: max(found[name], default=None) for name in WORST
    }


def _totals(instances: list[Instance]) -> Json:
    by_status = dict(Service.objects.values_list("status").annotate(count=Count("pk")).order_by())
    together = measurements([instance_json(each) for each in instances])
    return {
        "services": sum(by_status.values()),
        "running": by_status.get(Service.Status.RUNNING, 0),
        "troubled": sum(
            by_status.get(status, 0) for status in (Service.Status.ERROR, Service.Status.UNHEALTHY)
        ),
        "active_sessions": together["active_sessions"] or 0,
        "turns_per_minute": together["turns_per_minute"] or 0,
    }


def _service(service: Service, instances: list[Instance]) -> Json:
    whole = service_json(service, instances)
    parts = [instance_json(each) for each in instances]
    return {name: whole[name] for name in SHOWN} | {
        "description": service.description[:MAX_DESCRIPTION],
        "error_message": whole["error_message"][:MAX_ERROR],
        "is_external": service.is_external,
        "is_leaving": service.unregistered_at is not None,
        "chat": chat_address(service, instances),
        "is_on_every_address": is_on_every_address(service, instances),
        "health": health_of(service, instances),
        "measured": measurements(parts),
        "instances": [_instance(each) for each in parts],
    }


def _instance(whole: Json) -> Json:
    return {name: whole[name] for name in INSTANCE_SHOWN} | {"measured": measurements([whole])}


def _numbers(values: Iterable[Any]) -> list[float]:
    """Those that are numbers: a report is written by the process that runs somebody's agent."""
    return [
        round(float(value), 2)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]
