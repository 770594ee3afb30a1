"""Stores the state of a whole service. Synchronous."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from services import doorbell
from services.models import Instance, Service
from services.supervision.decision import CLEAR_S, Desired, counted, is_given_up
from services.supervision.failing import why_it_is_given_up
from services.supervision.health import LAST_FAILED
from services.supervision.lifecycle import State
from services.supervision.observing import Observation, desired_of
from services.supervision.supervisor_lease import Charge, machines_supervised
from services.telling import kept


def is_known_to(charge: Charge, observation: Observation, *, is_leaving: bool) -> bool:
    """Whether this supervisor has to store it: one of a single worker only if no other does.

    `is_leaving`: it is ending, and other supervisors report on their own workers.
    """
    if charge.is_machine:
        return True
    others = [one for one in observation.live if not charge.owns(one)]
    if any(not one.kept_by for one in others) or (is_leaving and others):
        return False
    return not machines_supervised().exists()


def note(observation: Observation, status: str) -> None:
    """Stores the observed state of the service, unless its row was changed meanwhile."""
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
    """What is wrong now, for people; empty if nothing is."""
    if not desired.is_running:
        return ""
    if is_given_up(desired, observation.failures):
        count = len(counted(observation.failures))
        return why_it_is_given_up(count, observation.last_error, restarts=desired.auto_restart)
    states = {one.state for one in observation.live}
    if State.RUNNING in states:
        return ""
    # Why an earlier process failed is not why this one does not answer.
    return _why_unhealthy(observation) if State.UNHEALTHY in states else observation.last_error


def _why_unhealthy(observation: Observation) -> str:
    """What its newest failed check found."""
    ill = [one.pk for one in observation.live if one.state == State.UNHEALTHY]
    checks = observation.service.health_checks.filter(instance__in=ill, is_healthy=False)
    newest = checks.order_by("-checked_at").first()
    return newest.detail if newest is not None else kept(LAST_FAILED)


def _restarts(observation: Observation, desired: Desired) -> int:
    """Consecutive restarts; 0 after a long healthy time."""
    row = counted(observation.failures)
    is_well = any(one.state == State.RUNNING for one in observation.live)
    if not row or (is_well and timezone.now().timestamp() - row[0].at >= CLEAR_S):
        return 0
    # Each failure is followed by a restart, except one after which the service is given up.
    return len(row) - is_given_up(desired, observation.failures)
