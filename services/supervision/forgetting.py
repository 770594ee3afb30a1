"""Deletes old rows and the files that belong to them. Synchronous."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db.models import QuerySet
from django.db.models.functions import Now

from agents.ownership.ending import end_unfinished_runs
from agents.runs.worker_process import Paths
from services import doorbell
from services.logs import logfiles
from services.logs.logfiles import path_of
from services.models import Instance, Service, Supervisor
from services.nodes import this_node
from services.supervision import supervisor_lease
from services.supervision.observing import services_of
from services.supervision.supervisor_lease import MACHINE, Charge

logger = structlog.get_logger(__name__)

ENDED_KEPT = 20
"""Number of a service's ended instances that are kept, besides those that count for restarts."""


def forget(service: Service, *, judge: QuerySet[Supervisor] | None) -> None:
    """The last step of unregistering: ends the service's runs and deletes its row.

    `judge`: as of `end_unfinished_runs`.
    """
    if end_unfinished_runs(service.name, judge=judge):
        service_id = service.pk
        service.delete()
        doorbell.announce()
        logfiles.forget(service_id)
        logger.info("service_unregistered", service=service.name)


GONE_KEPT = timedelta(days=1)
"""For which the ended worker of a machine that nobody hears of any more is listed."""


def forget_ended(charge: Charge = MACHINE) -> None:
    """Deletes the rows and logs of this machine's instances that ended long ago."""
    supervisor_lease.forget_those_of_one_worker()
    _forget_those_of_gone_machines()
    for service in services_of(charge):
        ended = service.instances.filter(live_slot__isnull=True, node=this_node())
        ended = ended.order_by("-launched_at")
        for instance in ended[ENDED_KEPT + service.max_restart_count :]:
            for log in path_of(service.pk, instance.pk).parent.glob(f"{instance.pk}.log*"):
                log.unlink(missing_ok=True)
            Paths.of(instance.pk).remove()
            instance.delete()


def _forget_those_of_gone_machines() -> None:
    """Deletes the rows of workers that `runagent` kept: every container is a machine of its own."""
    ended = Instance.objects.filter(live_slot__isnull=True, ended_at__lt=Now() - GONE_KEPT)
    kept_elsewhere = ended.exclude(kept_by="").exclude(node=this_node())
    kept_elsewhere.exclude(kept_by__in=Supervisor.objects.values("node")).delete()
