"""Reads rows into the values that `decision` works with, for all services at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import F, Q, QuerySet

from services.models import Instance, Service
from services.supervision.decision import Desired, Failure, Seen, is_given_up
from services.supervision.launchers import Polled
from services.supervision.lifecycle import FAILURES, Cause, State
from services.supervision.supervisor_lease import MACHINE, Charge


@dataclass(slots=True)
class Observation:
    """A service with its live instances, its failures, newest first, and the newest reason."""

    service: Service
    live: list[Instance] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    last_error: str = ""


def read_all(charge: Charge = MACHINE) -> list[Observation]:
    """Every service of the charge, with all its instances and the charge's own failures."""
    observations = {
        service.pk: Observation(charge.adapt(service)) for service in services_of(charge)
    }
    live = Instance.objects.filter(live_slot__isnull=False)
    if not charge.is_machine:
        live = live.filter(service=charge.service_id)
    for instance in live.order_by("slot"):
        if (observation := observations.get(instance.service_id)) is not None:
            # Uses the row read with the service, and does not read it again for each instance.
            instance.service = observation.service
            observation.live.append(instance)
    for instance in _failed(charge):
        if (observation := observations.get(instance.service_id)) is not None:
            observation.last_error = observation.last_error or instance.error
            observation.failures.append(_failure(instance))
    return list(observations.values())


def services_of(charge: Charge) -> QuerySet[Service]:
    """The services of the charge that have processes, which external ones do not."""
    launched = Service.objects.filter(url="")
    return launched if charge.is_machine else launched.filter(pk=charge.service_id)


def was_given_up(service: Service) -> bool:
    """Whether no instance of it is started any more, until a person acts."""
    failures = [_failure(one) for one in _failed(MACHINE).filter(service=service)]
    return is_given_up(desired_of(service, is_leaving=False), failures)


def _failed(charge: Charge) -> QuerySet[Instance]:
    """The failures since a person last started the service, newest first."""
    since = Q(service__cleared_at__isnull=True) | Q(ended_at__gte=F("service__cleared_at"))
    # Instances replaced by a restart are of an older generation: their ends do not count.
    found = Instance.objects.filter(
        since,
        generation=F("service__generation"),
        state=State.ERROR,
        live_slot__isnull=True,
        cause__in=FAILURES,
        kept_by=charge.kept_by,
    )
    # Bounded by what `forgetting.forget_ended` keeps.
    columns = ("service_id", "cause", "error", "launched_at", "ready_at", "ended_at")
    return found.only(*columns).order_by("-ended_at")


def _failure(instance: Instance) -> Failure:
    at = _seconds(instance.ended_at)
    healthy_s = at - _seconds(instance.ready_at) if instance.ready_at else 0.0
    return Failure(
        instance.pk, _seconds(instance.launched_at), at, healthy_s, Cause(instance.cause)
    )


def desired_of(service: Service, charge: Charge = MACHINE, *, is_leaving: bool) -> Desired:
    """`is_leaving`: the supervisor ends together with its instances."""
    return Desired(
        is_running=service.desired == Service.Desired.RUNNING and not is_leaving,
        replicas=service.replicas if charge.is_machine else 1,
        generation=service.generation,
        auto_restart=service.auto_restart,
        max_restart_count=service.max_restart_count,
        restart_delay_s=service.restart_delay_s,
        memory_limit_mb=service.memory_limit_mb,
    )


def seen_of(
    instance: Instance, polled: Polled, charge: Charge = MACHINE, *, silent_s: float = 0.0
) -> Seen:
    """`silent_s`: see `decision.Seen`."""
    return Seen(
        instance_id=instance.pk,
        slot=instance.slot,
        generation=instance.generation,
        state=State(instance.state),
        since=_seconds(instance.state_since),
        cause=Cause(instance.cause),
        is_ours=charge.owns(instance),
        is_replica=instance.kept_by == charge.kept_by,
        is_alive=polled.is_alive,
        is_ready=instance.ready_at is not None,
        exit_code=polled.exit_code,
        misses=instance.misses,
        silent_s=silent_s,
        memory_mb=polled.memory_mb,
    )


def _seconds(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()
