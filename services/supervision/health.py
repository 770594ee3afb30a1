"""Health checks: whether a worker answers when it is dialled, and what it reports.

For an external service this is only whether a socket can be opened.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from agents.runs.link import LinkFailed, dial
from agents.runs.remote import way_to
from agents.runtime.database import DatabaseThreads
from agents.runtime.database_errors import is_about_a_row
from agents.runtime.explaining import explain
from agents.sockets.external.upstream import FAILURES, hang_up
from agents.sockets.external.upstream import dial as dial_external
from myagent.sentence import Said
from services import doorbell
from services.models import HealthCheck, Instance, Service
from services.nodes import this_node
from services.supervision import figures
from services.supervision.decision import MISSES
from services.supervision.figures import Figures
from services.supervision.links import Links
from services.supervision.supervisor_lease import MACHINE, Charge, machines_supervised
from services.telling import kept, told

logger = structlog.get_logger(__name__)

AT_ONCE = 10
"""Number of concurrent checks."""

REASON_LENGTH = 800
"""Characters of a foreign program's message that are stored."""

LAST_FAILED = Said(gettext_noop("Its last checks failed."))
TOO_LATE = Said(gettext_noop("It did not answer in time."))
UNCHECKED = Said(gettext_noop("It could not be checked."))
UNLINKED = gettext_noop("It could not be reached: {reason}")
UNOPENED = gettext_noop("No socket could be opened: {reason}")

WHOLE = ("active_sessions", "turns_per_minute", "turn_p95_ms")
"""Figures of the service that are stored with a check."""

Report = dict[str, Any]
"""See `Instance.report`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check. `detail`: what is wrong, see `telling`; empty if healthy.

    `checked`: an instance, or an external service. `report`: what a worker reports; None if there
    is no link to it.
    """

    checked: Instance | Service
    detail: str
    latency_ms: float | None = None
    report: Report | None = None

    @property
    def is_healthy(self) -> bool:
        return not self.detail


async def check_ours(database: DatabaseThreads, links: Links, charge: Charge = MACHINE) -> None:
    """Checks the serving instances of the charge, and stores the findings and reports."""
    findings = await _check_each(await database.run(serving_here, charge))
    await database.run(write_down, [_as_linked(finding, links) for finding in findings])


async def check_elsewhere(database: DatabaseThreads) -> None:
    """The same for external services; separately, as these may be many and slow."""
    findings = await _check_each(await database.run(external_services))
    await database.run(write_down, findings)


async def look_at(database: DatabaseThreads, service: Service) -> list[Finding]:
    """Checks the service's serving instances now, on request.

    Nothing is stored: frequent requests must not add up to missed checks.
    """
    return await _check_each(await database.run(_serving_of, service))


async def _check_each(to_check: Sequence[Instance | Service]) -> list[Finding]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def check_in_turn(one: Instance | Service) -> Finding:
        async with slots:
            return await check(one)

    return await asyncio.gather(*map(check_in_turn, to_check))


def verdict(service: Service, findings: Sequence[Finding]) -> str:
    """The health of the whole service: `healthy`, `degraded`, `unhealthy` or `unknown`.

    `findings`: those of `look_at`. The health of a service that is not running is unknown.
    """
    if not findings:
        ill = (Service.Status.ERROR, Service.Status.UNHEALTHY)
        return "unhealthy" if service.status in ill else "unknown"
    well = sum(finding.is_healthy for finding in findings)
    if not well:
        return "unhealthy"
    wanted = 1 if service.is_external else service.replicas
    return "healthy" if well == len(findings) >= wanted else "degraded"


async def check(one: Instance | Service) -> Finding:
    """Dials a worker, as servers do, or opens a socket to an external service.

    For another machine's instance it returns the last finding of its supervisor.
    """
    if isinstance(one, Instance) and one.node != this_node():
        return Finding(one, kept(LAST_FAILED) if one.misses else "")
    began = time.perf_counter()
    try:
        await (_open(one) if isinstance(one, Service) else _dial(one))
    except TimeoutError:
        return Finding(one, kept(TOO_LATE))
    except LinkFailed as error:
        return Finding(one, kept(Said(UNLINKED, {"reason": str(error)[:REASON_LENGTH]})))
    except FAILURES as error:
        return Finding(one, kept(Said(UNOPENED, {"reason": str(error)[:REASON_LENGTH]})))
    except Exception:
        # The peer is foreign code: it must not affect other checks.
        logger.exception("health_check_failed", checked=str(one))
        return Finding(one, kept(UNCHECKED))
    return Finding(one, "", (time.perf_counter() - began) * 1000)


async def _dial(instance: Instance) -> None:
    """Raises `LinkFailed`, and `TimeoutError`."""
    async with asyncio.timeout(settings.MYAGENT_HEALTH_TIMEOUT_S):
        link = await dial(
            way_to(instance.pk, instance.address),
            f"health check {os.getpid()}",
            role="supervisor",
            timeout_s=None,
        )
    link.close()


async def _open(service: Service) -> None:
    """Opens a socket. Raises `TimeoutError`, and the socket's exceptions.

    An external service may send nothing at first.
    """
    timeout_s = settings.MYAGENT_HEALTH_TIMEOUT_S
    await hang_up(await dial_external(service.url, timeout_s))


def _as_linked(finding: Finding, links: Links) -> Finding:
    """The finding, according to the supervisor's own link to the worker."""
    link = links.of(finding.checked.pk)
    if link is None:
        return finding
    if link.is_debugging:
        # It is being debugged: no answer is to be expected.
        finding = replace(finding, detail="")
    return replace(finding, report=asdict(link.report) | {"lag_ms": link.take_lag_ms()})


def serving_here(charge: Charge = MACHINE) -> Sequence[Instance | Service]:
    """The charge's instances. Synchronous."""
    return list(_serving(node=this_node(), kept_by=charge.kept_by))


def external_services() -> Sequence[Instance | Service]:
    """The external services, if this machine has to check them. Synchronous.

    Only one machine does, so that a short failure counts as one missed check.
    """
    alive = machines_supervised()
    first = alive.order_by("node").values_list("node", flat=True).first()
    if first != this_node():
        return []
    return list(Service.objects.exclude(url="").filter(desired=Service.Desired.RUNNING))


def _serving_of(service: Service) -> Sequence[Instance | Service]:
    return [service] if service.is_external else list(_serving(service=service))


def _serving(**where: Any) -> QuerySet[Instance]:
    return (
        Instance.objects.filter(state__in=Instance.SERVING, **where)
        .select_related("service")
        .order_by("live_slot")
    )


def write_down(findings: Sequence[Finding]) -> None:
    """Stores the checks, their consequences, and the time of a service's last check.

    Synchronous.
    """
    now = timezone.now()
    seen = figures.read()
    for finding in findings:
        try:
            with transaction.atomic():
                _write_one(finding, now, seen)
        except (DatabaseFailure, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, DatabaseFailure) and not is_about_a_row(error):
                raise
            # It is gone or locked, or its report is invalid, which does not concern the others.
            logger.warning("finding_not_kept", checked=str(finding.checked), error=explain(error))


def _write_one(finding: Finding, now: datetime, seen: Figures) -> None:
    row = _row(finding, now, seen)
    # Rows are updated before a row with a foreign key to them is inserted: the insert takes shared
    # locks on them, and upgrading these later can deadlock with a waiting transaction.
    Service.objects.filter(pk=row.service_id).update(last_health_check=now)
    if isinstance(finding.checked, Instance):
        if finding.report is not None:
            Instance.objects.filter(pk=finding.checked.pk).update(report=finding.report)
        _count_misses(finding.checked, finding)
    row.save(force_insert=True)
    if isinstance(finding.checked, Service):
        _judge(finding.checked, finding)


def _count_misses(instance: Instance, finding: Finding) -> None:
    misses: Any = 0 if finding.is_healthy else F("misses") + 1
    if instance.misses or not finding.is_healthy:
        Instance.objects.filter(pk=instance.pk).update(misses=misses)
        doorbell.ring(instance.service_id)
        logger.info("health_check", instance_id=instance.pk, detail=told(finding.detail))


def _judge(service: Service, finding: Finding) -> None:
    """Nothing but its checks is known about an external service."""
    newest = service.health_checks.values_list("is_healthy", flat=True)[:MISSES]
    if finding.is_healthy:
        status = Service.Status.RUNNING
    elif len(newest) == MISSES and not any(newest):
        status = Service.Status.UNHEALTHY
    else:
        return
    if (status, finding.detail) != (service.status, service.error_message):
        # It may have been stopped during the check.
        row = Service.objects.filter(pk=service.pk, desired=Service.Desired.RUNNING)
        doorbell.change(row, status=status, error_message=finding.detail)


def prune() -> None:
    """Deletes checks that are too old to be of interest. Synchronous."""
    oldest = timezone.now() - timedelta(seconds=settings.MYAGENT_HEALTH_HISTORY_S)
    HealthCheck.objects.filter(checked_at__lt=oldest).delete()


def _row(finding: Finding, now: datetime, seen: Figures) -> HealthCheck:
    row = HealthCheck(
        checked_at=now,
        is_healthy=finding.is_healthy,
        latency_ms=finding.latency_ms,
        detail=finding.detail,
    )
    if isinstance(finding.checked, Service):
        row.service = finding.checked
        return row
    instance = finding.checked
    row.service_id, row.instance, row.memory_mb = instance.service_id, instance, instance.memory_mb
    row.loop_lag_ms = (finding.report or {}).get("lag_ms")
    # Figures of the whole service, in the row of each of its instances.
    for name, value in seen.of(instance.service).items():
        if name in WHOLE:
            setattr(row, name, value)
    return row
