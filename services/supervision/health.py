"""Health checks: does a worker answer whoever dials it, and what does it report?

Of a service that runs elsewhere it is known only whether a socket can be opened.
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
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from agents.runs.link import LinkFailed, dial
from agents.runs.worker_process import Paths
from agents.runtime.database import DatabaseThreads
from agents.runtime.database_errors import is_about_a_row
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
"""Checks under way at a time."""

GOODBYE_S = 1.0
"""Seconds that a peer has to answer the end of a check."""

REASON_LENGTH = 800
"""Characters of what a foreign program says that are kept."""

LAST_FAILED = Said(gettext_noop("Its last checks failed."))
TOO_LATE = Said(gettext_noop("It did not answer in time."))
UNCHECKED = Said(gettext_noop("It could not be checked."))
UNLINKED = gettext_noop("It could not be reached: {reason}")
UNOPENED = gettext_noop("No socket could be opened: {reason}")

WHOLE = ("active_sessions", "turns_per_minute", "turn_p95_ms")
"""Figures of the service that are kept with a check."""

Report = dict[str, Any]
"""See `Instance.report`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`detail`: what is wrong, see `telling`; empty for what is healthy.

    `checked`: a service only if it runs elsewhere. `report`: what a worker says
    of itself; None where nobody listens to it.
    """

    checked: Instance | Service
    detail: str
    latency_ms: float | None = None
    report: Report | None = None

    @property
    def is_healthy(self) -> bool:
        return not self.detail


async def check_ours(database: DatabaseThreads, links: Links, charge: Charge = MACHINE) -> None:
    """Checks the charge's instances that serve, and writes down what was found and reported."""
    findings = await _check_each(await database.run(serving_here, charge))
    await database.run(write_down, [_as_linked(finding, links) for finding in findings])


async def check_elsewhere(database: DatabaseThreads) -> None:
    """The same for external services; apart, as these may be many, and slow."""
    findings = await _check_each(await database.run(external_services))
    await database.run(write_down, findings)


async def look_at(database: DatabaseThreads, service: Service) -> list[Finding]:
    """Checks those of the service's instances that serve, now, for somebody who asks.

    Nothing is written down: who asks often must not make it miss often.
    """
    return await _check_each(await database.run(_serving_of, service))


async def _check_each(to_check: Sequence[Instance | Service]) -> list[Finding]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def check_in_turn(one: Instance | Service) -> Finding:
        async with slots:
            return await check(one)

    return await asyncio.gather(*map(check_in_turn, to_check))


def verdict(service: Service, findings: Sequence[Finding]) -> str:
    """How the service is as a whole: `healthy`, `degraded`, `unhealthy` or `unknown`.

    `findings`: of `look_at`. Of one that is not running nothing can be known.
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
    """Dials a worker, as servers do; of a service elsewhere opens a socket.

    Of another machine's instance, what its supervisor last found is given.
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
    except (OSError, WebSocketException, ValueError) as error:
        return Finding(one, kept(Said(UNOPENED, {"reason": str(error)[:REASON_LENGTH]})))
    except Exception:
        # What answers there is somebody else's code: no other check must suffer.
        logger.exception("health_check_failed", checked=str(one))
        return Finding(one, kept(UNCHECKED))
    return Finding(one, "", (time.perf_counter() - began) * 1000)


async def _dial(instance: Instance) -> None:
    """Raises `LinkFailed`, and `TimeoutError`."""
    async with asyncio.timeout(settings.MYAGENT_HEALTH_TIMEOUT_S):
        link = await dial(
            Paths.of(instance.pk).socket,
            f"health check {os.getpid()}",
            role="supervisor",
            timeout_s=None,
        )
    link.close()


async def _open(service: Service) -> None:
    """Raises `TimeoutError`, and what the socket does. Others may say nothing unless asked."""
    socket: ClientConnection | None = None
    try:
        async with asyncio.timeout(settings.MYAGENT_HEALTH_TIMEOUT_S):
            socket = await connect(service.url, compression=None, proxy=None, open_timeout=None)
    finally:
        if socket is not None:
            await _hang_up(socket)


def _as_linked(finding: Finding, links: Links) -> Finding:
    """The finding, with what the supervisor's own link to the worker tells."""
    link = links.of(finding.checked.pk)
    if link is None:
        return finding
    if link.is_debugging:
        # Somebody sits at its prompt: no answer is to be expected.
        finding = replace(finding, detail="")
    return replace(finding, report=asdict(link.report))


async def _hang_up(socket: ClientConnection) -> None:
    """Says goodbye. Who does not answer is cut off: such a socket would stay open for good."""
    try:
        async with asyncio.timeout(GOODBYE_S):
            await socket.close()
    except TimeoutError:
        logger.debug("goodbye_not_answered", peer=str(socket.remote_address))
    finally:
        socket.transport.abort()


def serving_here(charge: Charge = MACHINE) -> Sequence[Instance | Service]:
    """The charge's instances. Synchronous."""
    return list(_serving(node=this_node(), kept_by=charge.kept_by))


def external_services() -> Sequence[Instance | Service]:
    """The services that run elsewhere, if it is for this machine to check them. Synchronous.

    One machine does: what many find at one bad moment is one miss.
    """
    alive = machines_supervised()
    first = alive.order_by("node").values_list("node", flat=True).first()
    return list(Service.objects.exclude(url="")) if first == this_node() else []


def _serving_of(service: Service) -> Sequence[Instance | Service]:
    return [service] if service.is_external else list(_serving(service=service))


def _serving(**where: Any) -> QuerySet[Instance]:
    return (
        Instance.objects.filter(state__in=Instance.SERVING, **where)
        .select_related("service")
        .order_by("live_slot")
    )


def write_down(findings: Sequence[Finding]) -> None:
    """The history, what follows from it, and when a service was last checked. Synchronous."""
    now = timezone.now()
    seen = figures.read()
    for finding in findings:
        try:
            with transaction.atomic():
                _write_one(finding, now, seen)
        except (DatabaseFailure, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, DatabaseFailure) and not is_about_a_row(error):
                raise
            # It is gone or locked, or its report is odd; the others are not to blame.
            logger.warning("finding_not_kept", checked=str(finding.checked), error=str(error))


def _write_one(finding: Finding, now: datetime, seen: Figures) -> None:
    row = _row(finding, now, seen)
    # Rows that are changed come before the one that points to them: a pointer shares their locks,
    # and to ask for more later is a deadlock with whoever waits for the row meanwhile.
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
    """A service elsewhere has no other supervisor: its checks are all that is known of it."""
    newest = service.health_checks.values_list("is_healthy", flat=True)[:MISSES]
    if finding.is_healthy:
        status = Service.Status.RUNNING
    elif len(newest) == MISSES and not any(newest):
        status = Service.Status.UNHEALTHY
    else:
        return
    if (status, finding.detail) != (service.status, service.error_message):
        row = Service.objects.filter(pk=service.pk)
        doorbell.change(row, status=status, error_message=finding.detail)


def prune() -> None:
    """Forgets checks that are too old to be of interest. Synchronous."""
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
    # Of the service as a whole, in the row of each of its instances.
    for name, value in seen.of(instance.service).items():
        if name in WHOLE:
            setattr(row, name, value)
    return row
