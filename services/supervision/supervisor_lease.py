"""The lease of this machine's supervisor, by the database's clock.

A supervisor of one worker holds a lease too: nobody competes for it, but it shows others whether
that supervisor lives. Synchronous.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from agents.models import LEASE_HOLDS
from agents.runtime.ids import new_id
from agents.runtime.process import is_provably_gone, own_identity
from myagent.worker import ORPHAN_AFTER_S
from services.models import Instance, Service, Supervisor
from services.nodes import LONGEST_NODE, this_node


@dataclass(frozen=True, slots=True)
class Charge:
    """What a supervisor is in charge of: its machine, or one worker beside a service's replicas.

    For the machine, all are empty; `kept_by`: see `Instance`. `file` and `python`: what is used
    here instead of the service's agent file and interpreter.
    """

    service_id: str = ""
    kept_by: str = ""
    file: str = ""
    python: str = ""

    @classmethod
    def one_worker_of(cls, service: Service, *, file: str = "", python: str = "") -> Charge:
        own = f"/{new_id().rpartition('-')[2]}"
        kept_by = this_node()[: LONGEST_NODE - len(own)] + own
        return cls(service.pk, kept_by, file, python)

    def adapt(self, service: Service) -> Service:
        """The service as it is here; not to be saved."""
        service.agent_factory_path = self.file or service.agent_factory_path
        service.python = self.python or service.python
        return service

    @property
    def is_machine(self) -> bool:
        return not self.kept_by

    @property
    def lease(self) -> str:
        """The key of its `Supervisor` row."""
        return self.kept_by or this_node()

    def owns(self, instance: Instance) -> bool:
        return instance.node == this_node() and instance.kept_by == self.kept_by


MACHINE = Charge()


def machines_supervised() -> QuerySet[Supervisor]:
    """The supervisors of machines with a valid lease."""
    return Supervisor.objects.filter(LEASE_HOLDS, service__isnull=True)


def held(charge: Charge) -> QuerySet[Supervisor]:
    """The row of the charge's lease, if that is valid."""
    return Supervisor.objects.filter(LEASE_HOLDS, pk=charge.lease)


def is_supervised_apart(service: Service) -> bool:
    """Whether a supervisor of one worker of the service may be alive."""
    found = Supervisor.objects.filter(LEASE_HOLDS, service=service)
    return any(not is_provably_gone(each.process) for each in found)


def live_supervisor(charge: Charge = MACHINE) -> Supervisor | None:
    """The supervisor that holds the charge's lease and may be alive."""
    found = held(charge).first()
    return None if found is None or is_provably_gone(found.process) else found


def is_anybody_in_charge() -> bool:
    """Whether a supervisor of a machine, this one or another, may be alive."""
    return any(not is_provably_gone(each.process) for each in machines_supervised())


def acting_supervisor() -> Supervisor | None:
    """The supervisor of this machine, unless it is ending: then it starts nothing more."""
    found = live_supervisor()
    return None if found is None or found.is_asked_to_leave else found


def take(*, is_automatic: bool, charge: Charge = MACHINE) -> int | None:
    """Makes this process the supervisor; returns the new epoch, or None if another may be alive."""
    row = {
        "service_id": charge.service_id or None,
        "process": own_identity(),
        "is_automatic": is_automatic,
        "is_asked_to_leave": False,
        "started_at": Now(),
        "lease_until": _lease_end(),
        "ended_at": None,
    }
    former = Supervisor.objects.filter(pk=charge.lease).first()
    if former is None:
        try:
            with transaction.atomic():
                Supervisor.objects.create(node=charge.lease, **row)
        except IntegrityError:
            return None  # Another was first, or its service is gone.
        return 1
    if live_supervisor(charge) is not None:
        return None
    changed = Supervisor.objects.filter(pk=former.pk, epoch=former.epoch).update(
        **row, epoch=F("epoch") + 1
    )
    return former.epoch + 1 if changed else None


def ask_to_leave() -> bool:
    """Tells a supervisor that a command started to make room; returns whether there is one."""
    automatic = Supervisor.objects.filter(pk=this_node(), is_automatic=True)
    return bool(automatic.update(is_asked_to_leave=True))


def renew(epoch: int, charge: Charge = MACHINE) -> Supervisor | None:
    """Prolongs the lease. None: it is another process's."""
    own = Supervisor.objects.filter(pk=charge.lease, epoch=epoch, ended_at__isnull=True)
    own.update(lease_until=_lease_end())
    return own.first()


def holds(epoch: int, charge: Charge = MACHINE) -> bool:
    """Whether the lease is still ours and has not expired."""
    return held(charge).filter(epoch=epoch).exists()


def note_leaving(epoch: int, charge: Charge = MACHINE) -> None:
    """Announces that this supervisor only ends its instances."""
    Supervisor.objects.filter(pk=charge.lease, epoch=epoch).update(is_asked_to_leave=True)


def release(epoch: int, charge: Charge = MACHINE) -> None:
    """Ends the lease, if it is still ours."""
    Supervisor.objects.filter(pk=charge.lease, epoch=epoch).update(ended_at=Now())


def may_have_workers(lease: str) -> bool:
    """Whether the supervisor is alive, or was until very recently.

    A worker outlives its supervisor, but for no longer than this if no other takes over.
    """
    return Supervisor.objects.filter(pk=lease, lease_until__gt=_just_now()).exists()


def forget_those_of_one_worker() -> None:
    """Deletes the rows of former supervisors of one worker: each has its own name."""
    left = Supervisor.objects.filter(service__isnull=False, lease_until__lt=_just_now())
    left.exclude(
        node__in=Instance.objects.filter(live_slot__isnull=False).values("kept_by")
    ).delete()


def _just_now() -> Any:
    return Now() - timedelta(seconds=ORPHAN_AFTER_S)


def _lease_end() -> object:
    return Now() + timedelta(seconds=settings.MYAGENT_LEASE_S)
