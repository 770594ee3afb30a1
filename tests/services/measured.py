"""Services that report and were checked, beside `rows`; and what is heard of their changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from services import doorbell
from services.models import HealthCheck, Instance, Service, Supervisor
from tests.services import rows

REPORT = {"running": 1, "sessions": 3, "lag_ms": 1.25, "abandoned": 0}
"""What a worker says of itself."""


def add_service(name: str, status: str = Service.Status.STOPPED, **fields: Any) -> Service:
    return rows.service(name, status, **fields)


def add_instance(
    service: Service, slot: int = 0, *, report: dict[str, Any] | None = None, **fields: Any
) -> Instance:
    """One that runs and reports, unless the fields say otherwise."""
    now = timezone.now()
    said = REPORT if report is None else report
    given = {"report": said, "ready_at": now, "memory_mb": 96.0} | fields
    return rows.instance(service, slot=slot, **given)


def add_running(name: str, **fields: Any) -> Service:
    """A service that runs, with one instance."""
    service = add_service(name, Service.Status.RUNNING, started_at=timezone.now(), **fields)
    add_instance(service)
    return service


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
