"""What Prometheus is told of services and workers, from their rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest

from services.metrics.standing import Standing
from services.models import Instance, Service

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]


def text() -> list[str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Standing())
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def service(name: str, **fields: Any) -> Service:
    given = {"desired": "running", "status": "running", "replicas": 2} | fields
    return Service.objects.create(id=name, name=name, agent_factory_path="/a.py", **given)


def worker(of: Service, slot: int, state: str, **fields: Any) -> None:
    now = timezone.now()
    Instance.objects.create(
        id=f"{of.pk}-{slot}-{state}",
        service=of,
        slot=slot,
        live_slot=None if state in Instance.ENDED else slot,
        generation=1,
        state=state,
        state_since=now,
        node="here",
        launched_at=now,
        **fields,
    )


def test_services_and_workers_are_told_as_they_stand() -> None:
    one = service("one")
    service("two", desired="stopped", status="stopped")
    service("elsewhere", url="ws://127.0.0.1:1/")
    worker(one, 0, "running", memory_mb=64, report={"lag_ms": 250})
    worker(one, 1, "starting", report={"lag_ms": "nonsense"})
    crashed = {"cause": "crash", "ended_at": timezone.now()}
    worker(one, 2, "error", **crashed)
    worker(one, 3, "error", cause="crash", ended_at=timezone.now() - timedelta(hours=2))
    worker(one, 4, "stopped", cause="stop", ended_at=timezone.now())
    lines = text()
    for line in (
        'myagent_service_wanted_workers{service="one"} 2.0',
        'myagent_service_wanted_workers{service="two"} 0.0',
        'myagent_service_wanted_workers{service="elsewhere"} 0.0',
        'myagent_service_status{service="two",status="stopped"} 1.0',
        'myagent_workers{service="one",state="running"} 1.0',
        'myagent_workers{service="one",state="starting"} 1.0',
        'myagent_worker_memory_bytes{service="one",slot="0"} 6.7108864e+07',
        'myagent_worker_loop_lag_seconds{service="one",slot="0"} 0.25',
        'myagent_worker_failures_last_hour{cause="crash",service="one"} 1.0',
        "myagent_supervised 0.0",
        "myagent_servers 0.0",
        'myagent_unfinished_runs{status="running"} 0.0',
        "myagent_database_up 1.0",
    ):
        assert line in lines, "\n".join(lines)
    assert not any("error" in line for line in lines)


def test_a_database_that_is_away_is_told_and_fails_nothing() -> None:
    with mock.patch("services.metrics.standing._services", side_effect=OperationalError("away")):
        assert text() == ["myagent_database_up 0.0"]
