"""How a service is as a whole, written down for everybody. Synchronous."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from services import doorbell
from services.models import Instance, Service
from services.supervision.decision import CLEAR_S, Desired, counted, is_given_up
from services.supervision.failing import why_it_is_given_up
from services.supervision.lifecycle import State
from services.supervision.observing import Observation, desired_of
from services.supervision.supervisor_lease import Charge, machines_supervised


def is_known_to(charge: Charge, observation: Observation, *, is_leaving: bool) -> bool:
    """Whether it is for this supervisor to say: one of a single worker is asked last.

    `is_leaving`: it goes, and what others keep is for them to tell of.
    """
    if charge.is_machine:
        return True
    others = [one for one in observation.live if not charge.owns(one)]
    if any(not one.kept_by for one in others) or (is_leaving and others):
        return False
    return not machines_supervised().exists()


def note(observation: Observation, status: str) -> None:
    """Writes what is observed of the service, unless somebody changed it meanwhile."""
    service = observation.service
    serving = [one for one in observation.live if one.state in Instance.SERVING]
    since = min((one.ready_at for one in serving if one.ready_at), default=None)
    desired = desired_of(service, is_leaving=False)
    observed: dict[str, Any] = {
        "status": status,
        "error_message": _error_of(observation, desired),
        "restart_count": _restarts(observation, desired),
        "started_at": since,
    }
    changed = {name: value for name, value in observed.items() if getattr(service, name) != value}
    if changed:
        unchanged = Service.objects.filter(pk=service.pk, revision=service.revision)
        doorbell.change(unchanged, **changed)


def _error_of(observation: Observation, desired: Desired) -> str:
    """What people are told is wrong; empty where all is as it should be."""
    if not desired.is_running or not observation.failures:
        return ""
    if is_given_up(desired, observation.failures):
        count = len(counted(observation.failures))
        return why_it_is_given_up(count, observation.last_error, restarts=desired.auto_restart)
    is_well_again = any(one.state == State.RUNNING for one in observation.live)
    return "" if is_well_again else observation.last_error


def _restarts(observation: Observation, desired: Desired) -> int:
    """Restarts in a row; none after a long time of health."""
    row = counted(observation.failures)
    is_well = any(one.state == State.RUNNING for one in observation.live)
    if not row or (is_well and timezone.now().timestamp() - row[0].at >= CLEAR_S):
        return 0
    # A failure is followed by a restart, unless it was the last straw.
    return len(row) - is_given_up(desired, observation.failures)
