"""An overview of all services, as in the console: seven queries, however many services.

Synchronous reads; JSON as in `services.views.describing`, without details.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from agents.runtime.process import is_provably_gone
from myagent.protocol import timestamp
from services.models import Instance, Service
from services.supervision import figures
from services.supervision.figures import Figures
from services.supervision.supervisor_lease import machines_supervised
from services.views.describing import Json, instance_json, live_by_service, service_json
from services.views.observers import UNKNOWN, Observers
from services.views.standing import health_text, standing_of, state_text

MAX_SERVICES = 200
"""Services that are listed; all are counted."""

MAX_DESCRIPTION = 300
MAX_ERROR = 4000
"""Characters of an error that are shown; its first lines say what is wrong."""

SHOWN = (
    "service_id",
    "name",
    "tags",
    "status",
    "observed_at",
    "desired",
    "replicas",
    "started_at",
    "last_health_check",
    "restart_count",
)
INSTANCE_SHOWN = ("instance_id", "state", "pid", "started_at", "restart_count", "health")

WHOLE = ("active_sessions", "turns_per_minute")
"""Measurements of the service as a whole."""

SUMMED = ("memory_mb",)
"""Measurements that are added up over a service's instances."""

WORST = ("turn_p95_ms", "loop_lag_ms")
"""Measurements of which the worst instance's counts for the service."""

MEASURED = (*WHOLE, *SUMMED, *WORST)

TROUBLED = (Service.Status.ERROR, Service.Status.UNHEALTHY, UNKNOWN)

OF_INSTANCE = ("active_sessions", "memory_mb", "loop_lag_ms")
"""The measurements that are known for each process."""


def overview() -> Json:
    """`totals`, `supervisors` that are alive, and `services` by name."""
    instances = live_by_service()
    seen, observers = figures.read(), Observers.read()
    services = Service.objects.order_by("name")[:MAX_SERVICES]
    return {
        "totals": _totals(seen, observers),
        "supervisors": supervisors(),
        "services": [
            _service(service, instances.get(service.pk, []), seen, observers)
            for service in services
        ],
    }


def supervisors() -> list[Json]:
    """The supervisors of machines with a valid lease, by the database's clock.

    One that is known to be gone is left out before its lease ends.
    """
    leased = machines_supervised().order_by("node")[:20]
    alive = [each for each in leased if not is_provably_gone(each.process)]
    return [
        {"node": each.node, "since": timestamp(each.started_at), "is_automatic": each.is_automatic}
        for each in alive
    ]


def measurements(whole: Json, instances: Sequence[Json]) -> dict[str, float | None]:
    """`whole`: the service's figures. What nobody reported is null."""
    memory_mb = _numbers(each["memory_mb"] for each in instances)
    lags_ms = _numbers(each["loop_lag_ms"] for each in instances)
    return {
        "active_sessions": whole["active_sessions"],
        "turns_per_minute": whole["turns_per_minute"],
        "memory_mb": sum(memory_mb) if memory_mb else None,
        "turn_p95_ms": whole["turn_p95_ms"],
        "loop_lag_ms": max(lags_ms, default=None),
    }


def _totals(seen: Figures, observers: Observers) -> Json:
    by_status = observers.count()
    together = seen.together()
    return {
        "services": sum(by_status.values()),
        "running": by_status[Service.Status.RUNNING],
        "troubled": sum(by_status[status] for status in TROUBLED),
        "active_sessions": together["active_sessions"],
        "turns_per_minute": together["turns_per_minute"],
    }


def _service(
    service: Service, instances: list[Instance], seen: Figures, observers: Observers
) -> Json:
    whole = service_json(service, site="", seen=seen, observers=observers)
    parts = [instance_json(each, "", observers) for each in instances]
    standing = standing_of(service, instances, observers)
    return {name: whole[name] for name in SHOWN} | {
        "description": (service.description or service.agent.get("description", ""))[
            :MAX_DESCRIPTION
        ],
        "error_message": whole["error_message"][:MAX_ERROR],
        "is_external": service.is_external,
        "is_leaving": service.unregistered_at is not None,
        "state_text": standing.text,
        "health": standing.health,
        "health_text": standing.health_text,
        "chat": standing.chat,
        "verbs": standing.verbs,
        "measured": measurements(seen.of(service), parts),
        "instances": [_instance(each) for each in parts],
    }


def _instance(whole: Json) -> Json:
    measured = {name: next(iter(_numbers([whole[name]])), None) for name in OF_INSTANCE}
    return {name: whole[name] for name in INSTANCE_SHOWN} | {
        "state_text": state_text(whole["state"]),
        "health_text": health_text(whole["health"]),
        "measured": measured,
    }


def _numbers(values: Iterable[Any]) -> list[float]:
    """Only numbers: a report comes from the process that runs foreign code."""
    return [
        round(float(value), 2)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]
