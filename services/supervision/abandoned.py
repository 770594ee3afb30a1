"""Workers whose own supervisor is gone: any other process ends them and updates their rows.

Such a worker ends with its supervisor, but its row would stay as it is. Synchronous.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.db import Error as DatabaseFailure
from django.utils import timezone
from django.utils.translation import gettext_noop

from agents.runs.worker_process import Paths
from agents.runtime.database_errors import is_about_a_row
from agents.runtime.explaining import explain
from agents.runtime.process import is_of_here, is_provably_gone
from myagent.sentence import Said
from services import doorbell
from services.models import Instance, Service, Supervisor
from services.nodes import this_node
from services.supervision.failing import note_end
from services.supervision.launchers import Launcher
from services.supervision.lifecycle import FAILURES, LEAVING, TRANSITIONS, Cause, Event, State
from services.supervision.supervisor_lease import machines_supervised, may_have_workers
from services.telling import kept

logger = structlog.get_logger(__name__)

LOOK_S = 2.0
"""Seconds between two checks by a server, which matter where no supervisor runs."""

GONE = Said(gettext_noop("The 'manage.py runagent --service' that kept it has ended."))


def end_all(launcher: Launcher, *, by_lease: bool) -> None:
    """Ends all abandoned workers.

    `by_lease`: whether a process with an expired lease can be considered dead; without it only
    proof counts. A process that is provably alive is never considered dead. A worker in a state of
    a later version is left to that version.
    """
    instances = list(Instance.objects.filter(live_slot__isnull=False).exclude(kept_by=""))
    # Read after their workers: a keeper's row is written before that of its first worker.
    keepers = Supervisor.objects.in_bulk({instance.kept_by for instance in instances})
    for instance in instances:
        try:
            if not _is_abandoned(instance, keepers.get(instance.kept_by), by_lease=by_lease):
                continue
            if instance.state in State.values:
                _end(instance, launcher)
            else:
                logger.warning("state_not_known", instance_id=instance.pk, state=instance.state)
        except DatabaseFailure as error:
            if not is_about_a_row(error):
                raise
            # It is locked, say; the next look comes soon.
            logger.warning("abandoned_not_ended", instance_id=instance.pk, error=explain(error))


def _is_abandoned(instance: Instance, keeper: Supervisor | None, *, by_lease: bool) -> bool:
    if keeper is not None and is_of_here(keeper.process):
        # It is known to be alive, even with an expired lease, as after a suspend.
        return is_provably_gone(keeper.process)
    return by_lease and not may_have_workers(instance.kept_by)


def _end(instance: Instance, launcher: Launcher) -> None:
    """Kills what is left of it on this machine, and ends its row.

    Others may do the same concurrently. The row is changed first: if this process dies in between,
    the next check continues, and a row that was moved meanwhile is left to whoever moved it.
    """
    is_here = instance.node == this_node()
    if is_here:
        if not _note_killed(instance):
            return
        launcher.terminate(instance.pk, instance.process, by_force=True)
    if not _note_ended(instance):
        return
    if is_here:
        Paths.of(instance.pk).remove()
        note_end(instance)
    _note_on_service(instance)
    doorbell.ring(instance.service_id)
    logger.warning("instance_abandoned", instance_id=instance.pk, pid=instance.pid)


def _note_killed(instance: Instance) -> bool:
    """False if its row has been changed meanwhile."""
    before = State(instance.state)
    if before is State.STOPPING:
        return True
    failure = {} if before in LEAVING else _failure_of(instance)
    return _move(instance, Event.KILL, **failure)


def _note_ended(instance: Instance) -> bool:
    """False if its row has been changed meanwhile."""
    ends = {"ended_at": timezone.now(), "live_slot": None}
    if State(instance.state) in LEAVING and instance.cause not in FAILURES:
        return _move(instance, Event.LEFT, **ends)
    return _move(instance, Event.FAILED, **ends, **_failure_of(instance))


def _failure_of(instance: Instance) -> dict[str, Any]:
    is_known = instance.cause in FAILURES
    return {
        "cause": instance.cause if is_known else Cause.CRASH,
        "error": instance.error or kept(GONE),
    }


def _move(instance: Instance, event: Event, **changes: Any) -> bool:
    """Changes the row, and `instance`, if it is still as it was read; returns whether it was."""
    before = State(instance.state)
    changes |= {"state": TRANSITIONS[before, event], "state_since": timezone.now()}
    if not Instance.objects.filter(pk=instance.pk, state=before).update(**changes):
        return False
    for name, value in changes.items():
        setattr(instance, name, value)
    return True


def _note_on_service(instance: Instance) -> None:
    """Without a supervisor, nobody else reports that the service has no worker left."""
    live = Instance.objects.filter(service=instance.service_id, live_slot__isnull=False)
    if live.exists() or machines_supervised().exists():
        return
    service = Service.objects.filter(pk=instance.service_id)
    service.filter(desired=Service.Desired.RUNNING).update(
        status=Service.Status.ERROR, error_message=kept(GONE)
    )
    service.filter(desired=Service.Desired.STOPPED).update(status=Service.Status.STOPPED)
