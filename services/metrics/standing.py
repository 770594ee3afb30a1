"""How the services and their workers stand, read from the database when Prometheus asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

import structlog
from django.db import Error as DatabaseFailure
from django.db.models import Count
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agents.models import LEASE_HOLDS, Run, Server
from agents.runtime.explaining import explain
from services.models import Instance, Service
from services.supervision.lifecycle import FAILURES
from services.supervision.supervisor_lease import is_anybody_in_charge

logger = structlog.get_logger(__name__)

RECENT = timedelta(hours=1)

MIB = 1024 * 1024


class Standing(Collector):
    """Of the whole site: every server tells the same."""

    def describe(self) -> Iterable[Metric]:
        """None: nothing is read until somebody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            found = [*_services(), *_workers(), *_site()]
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            found = []
        yield database_up(bool(found))
        yield from found


def database_up(answers: bool) -> Metric:
    return GaugeMetricFamily(
        "myagent_database_up", "1 if the database answers, else 0.", value=answers
    )


def _services() -> Iterator[Metric]:
    wanted = GaugeMetricFamily(
        "myagent_service_wanted_workers",
        "Workers that a service is to have; 0 if it is stopped.",
        labels=["service"],
    )
    status = GaugeMetricFamily(
        "myagent_service_status",
        "1 for the status that a service has.",
        labels=["service", "status"],
    )
    for service in Service.objects.filter(unregistered_at=None).only(
        "name", "desired", "replicas", "status", "url"
    ):
        is_running = service.desired == Service.Desired.RUNNING and not service.is_external
        wanted.add_metric([service.name], service.replicas if is_running else 0)
        status.add_metric([service.name, service.status], 1)
    yield from (wanted, status)


def _workers() -> Iterator[Metric]:
    count = GaugeMetricFamily(
        "myagent_workers", "Workers by their state.", labels=["service", "state"]
    )
    memory = GaugeMetricFamily(
        "myagent_worker_memory_bytes", "Memory of a worker.", labels=["service", "slot"]
    )
    lag = GaugeMetricFamily(
        "myagent_worker_loop_lag_seconds",
        "The worst lag of a worker's event loop since the check before the last.",
        labels=["service", "slot"],
    )
    states: Counter[tuple[str, str]] = Counter()
    live = Instance.objects.exclude(state__in=Instance.ENDED).select_related("service")
    for each in live:
        states[each.service.name, each.state] += 1
        place = [each.service.name, str(each.slot)]
        if each.memory_mb is not None:
            memory.add_metric(place, each.memory_mb * MIB)
        if isinstance(lag_ms := each.report.get("lag_ms"), int | float):
            lag.add_metric(place, lag_ms / 1000)
    for labels, number in states.items():
        count.add_metric(list(labels), number)
    yield from (count, memory, lag, _failures())


def _failures() -> Metric:
    found = GaugeMetricFamily(
        "myagent_worker_failures_last_hour",
        "Workers that failed within the last hour, by what happened.",
        labels=["service", "cause"],
    )
    failed = Instance.objects.filter(ended_at__gte=timezone.now() - RECENT, cause__in=FAILURES)
    counts = failed.order_by().values_list("service__name", "cause").annotate(Count("pk"))
    for service, cause, number in counts:
        found.add_metric([service, cause], number)
    return found


def _site() -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "myagent_supervised",
        "1 if a supervisor is in charge, else 0.",
        value=is_anybody_in_charge(),
    )
    yield GaugeMetricFamily(
        "myagent_servers",
        "Servers that hold their lease.",
        value=Server.objects.filter(LEASE_HOLDS).count(),
    )
    runs = GaugeMetricFamily(
        "myagent_unfinished_runs", "Runs of the site that have not ended.", labels=["status"]
    )
    unfinished = Run.objects.filter(status__in=Run.UNFINISHED).order_by().values_list("status")
    counts = dict(unfinished.annotate(Count("pk")))
    for status in Run.UNFINISHED:
        runs.add_metric([status], counts.get(status, 0))
    yield runs
