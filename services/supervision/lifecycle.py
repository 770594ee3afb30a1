"""The states of an instance and the transitions between them: a table, no I/O."""

from __future__ import annotations

from enum import StrEnum

from services.models import Instance

State = Instance.State
Cause = Instance.Cause


class Event(StrEnum):
    """What happens to an instance."""

    READY = "ready"  # its agent file is loaded and it answers
    MISSED = "missed"  # three health checks in a row failed
    RECOVERED = "recovered"  # a health check passed again
    DRAIN = "drain"  # it is asked to finish its runs and leave
    KILL = "kill"  # it is ended, with its process group
    LEFT = "left"  # it has ended, as it was asked to
    FAILED = "failed"  # it has ended, which is a failure


TRANSITIONS = {
    (State.STARTING, Event.READY): State.RUNNING,
    (State.STARTING, Event.DRAIN): State.DRAINING,
    (State.STARTING, Event.KILL): State.STOPPING,
    (State.STARTING, Event.FAILED): State.ERROR,
    (State.RUNNING, Event.MISSED): State.UNHEALTHY,
    (State.RUNNING, Event.DRAIN): State.DRAINING,
    (State.RUNNING, Event.KILL): State.STOPPING,
    (State.RUNNING, Event.FAILED): State.ERROR,
    (State.UNHEALTHY, Event.RECOVERED): State.RUNNING,
    (State.UNHEALTHY, Event.DRAIN): State.DRAINING,
    (State.UNHEALTHY, Event.KILL): State.STOPPING,
    (State.UNHEALTHY, Event.FAILED): State.ERROR,
    (State.DRAINING, Event.KILL): State.STOPPING,
    (State.DRAINING, Event.LEFT): State.STOPPED,
    (State.DRAINING, Event.FAILED): State.ERROR,
    (State.STOPPING, Event.LEFT): State.STOPPED,
    (State.STOPPING, Event.FAILED): State.ERROR,
}

ACTIVE = frozenset({State.STARTING, State.RUNNING, State.UNHEALTHY})
"""States of instances that are not ending."""

SERVING = frozenset({State.RUNNING, State.UNHEALTHY})

LEAVING = frozenset({State.DRAINING, State.STOPPING})

FAILURES = frozenset(
    {Cause.CRASH, Cause.CONFIGURATION, Cause.START_TIMEOUT, Cause.MEMORY, Cause.UNHEALTHY}
)
"""Causes of an end that count as failures."""
