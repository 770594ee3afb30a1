"""Services that are measured and checked, beside `rows`; and what is heard of their changes."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Server
from agents.runtime.ids import new_id
from services import doorbell
from services.models import HealthCheck, Instance, Service, Supervisor
from tests.services import rows

REPORT = {"running": 1, "sessions": 2, "lag_ms": 1.25, "abandoned": 0}
"""What a process says of itself."""

FIGURES = {
    "active_sessions": 3,
    "running": 1,
    "connections": 4,
    "turns_per_minute": 12.5,
    "turn_p95_ms": 840.0,
}
"""What a server says of a service."""


def add_service(name: str, status: str = Service.Status.STOPPED, **fields: Any) -> Service:
    return rows.service(name, status, **fields)


def add_instance(
    service: Service, slot: int = 0, *, report: dict[str, Any] | None = None, **fields: Any
) -> Instance:
    """One that runs and reports, unless the fields say otherwise."""
    said = REPORT if report is None else report
    given = {"report": said, "ready_at": timezone.now(), "memory_mb": 96.0} | fields
    return rows.instance(service, slot=slot, **given)


def add_running(name: str, **fields: Any) -> Service:
    """A service that runs, with one instance, and conversations at one server."""
    service = add_service(name, Service.Status.RUNNING, started_at=timezone.now(), **fields)
    add_instance(service)
    add_server({name: FIGURES})
    return service


def add_server(services: dict[str, Any] | None = None, **fields: Any) -> Server:
    """A server of the site that lives, and what it says of services."""
    connections = sum(each.get("connections", 0) for each in (services or {}).values())
    values = {
        "id": new_id(),
        "host": socket.gethostname(),
        "address": "ws://localhost:8000/",
        "process": new_id(),
        "started_at": Now(),
        "lease_until": Now() + timedelta(seconds=60),
        "report": {"pid": 4711, "connections": connections, "services": services or {}},
    }
    return Server.objects.create(**(values | fields))


def add_checks(instance: Instance, count: int, **measured: Any) -> None:
    """The last `count` checks, ten seconds apart. A callable is asked for each one's value."""
    now = timezone.now()
    HealthCheck.objects.bulk_create(
        HealthCheck(
            service_id=instance.service_id,
            instance=instance,
            checked_at=now - timedelta(seconds=10 * number),
            is_healthy=True,
            **{name: each(number) if callable(each) else each for name, each in measured.items()},
        )
        for number in range(count)
    )


def add_supervisor(**fields: Any) -> Supervisor:
    values = {
        "node": "machine-1",
        "process": "p",
        "started_at": Now(),
        "lease_until": Now() + timedelta(seconds=60),
    }
    return Supervisor.objects.create(**(values | fields))


def change(service: Service, **fields: Any) -> None:
    """As the supervisor does it: what waits for it hears it."""
    Service.objects.filter(pk=service.pk).update(**fields)
    doorbell.ring(service.pk)
