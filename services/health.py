"""Health checks: can a client open a socket to an instance, and does its runner still report?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db.models import F
from django.utils import timezone
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from agents.database import DatabaseThreads
from agents.models import Runner
from services import doorbell
from services.models import HealthCheck, Instance, Service
from services.supervision import this_node

logger = structlog.get_logger(__name__)

AT_ONCE = 10
"""Checks under way at a time."""

STUCK_S = 60.0
"""Seconds for which agent code may block its loop before that counts as a miss."""

REPORTED = ("active_sessions", "turns_per_minute", "turn_p95_ms", "loop_lag_ms")


@dataclass(frozen=True, slots=True)
class Finding:
    """`detail` says what is wrong; empty for a healthy instance."""

    instance: Instance
    detail: str
    latency_ms: float | None = None

    @property
    def is_healthy(self) -> bool:
        return not self.detail


async def check_all(database: DatabaseThreads) -> None:
    """Checks this machine's instances that serve, and writes down what was found."""
    instances = await database.run(serving_here)
    slots = asyncio.Semaphore(AT_ONCE)

    async def check_in_turn(instance: Instance) -> Finding:
        async with slots:
            return await check(instance)

    findings = await asyncio.gather(*(check_in_turn(instance) for instance in instances))
    await database.run(write_down, findings)


async def check(instance: Instance) -> Finding:
    """Opens a socket and reads the greeting; then looks at the runner's own report."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(settings.MYAGENT_HEALTH_TIMEOUT_S):
            await _greet(_address(instance))
    except TimeoutError:
        return Finding(instance, "It did not answer in time.")
    except (OSError, WebSocketException, ValueError) as error:
        return Finding(instance, f"No socket could be opened: {error}")
    latency_ms = (time.perf_counter() - began) * 1000
    return Finding(instance, _what_the_report_lacks(instance.runner), latency_ms)


async def _greet(url: str) -> None:
    async with connect(url, compression=None, proxy=None, open_timeout=None) as socket:
        frame = orjson.loads(await socket.recv())
        if frame.get("event") != "system.connected":
            raise ValueError("something else than an agent listens there")


def _address(instance: Instance) -> str:
    return {
        "": f"ws://127.0.0.1:{instance.port}/",
        "0.0.0.0": f"ws://127.0.0.1:{instance.port}/",
        "::": f"ws://[::1]:{instance.port}/",
    }.get(instance.host, instance.endpoint.replace("localhost", "127.0.0.1"))


def _what_the_report_lacks(runner: Runner | None) -> str:
    if runner is None or runner.ended_at is not None:
        return "Its runner has no lease."
    if runner.lease_until < timezone.now():
        return "Its runner has stopped renewing its lease."
    stuck_for_s = runner.report.get("stuck_for_s") or 0
    if stuck_for_s > STUCK_S:
        return f"Its agent code has blocked every answer for {stuck_for_s:.0f} seconds."
    return ""


def serving_here() -> Sequence[Instance]:
    """Synchronous."""
    found = Instance.objects.filter(node=this_node(), state__in=Instance.SERVING)
    return list(found.select_related("runner"))


def write_down(findings: Sequence[Finding]) -> None:
    """The history, the count of misses, and when the service was last checked. Synchronous."""
    now = timezone.now()
    HealthCheck.objects.bulk_create(_row(finding, now) for finding in findings)
    for finding in findings:
        instance = finding.instance
        misses: Any = 0 if finding.is_healthy else F("misses") + 1
        if instance.misses or not finding.is_healthy:
            Instance.objects.filter(pk=instance.pk).update(misses=misses)
            doorbell.ring(instance.service_id)
            logger.info("health_check", instance_id=instance.pk, detail=finding.detail)
    checked = {finding.instance.service_id for finding in findings}
    Service.objects.filter(pk__in=checked).update(last_health_check=now)


def prune() -> None:
    """Forgets checks that are too old to be of interest. Synchronous."""
    oldest = timezone.now() - timedelta(seconds=settings.MYAGENT_HEALTH_HISTORY_S)
    HealthCheck.objects.filter(checked_at__lt=oldest).delete()


def _row(finding: Finding, now: Any) -> HealthCheck:
    instance = finding.instance
    report = instance.report
    return HealthCheck(
        service_id=instance.service_id,
        instance=instance,
        checked_at=now,
        is_healthy=finding.is_healthy,
        latency_ms=finding.latency_ms,
        detail=finding.detail[:1000],
        memory_mb=instance.memory_mb,
        **{name: report.get(name) for name in REPORTED},
    )
