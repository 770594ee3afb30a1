"""Which process is the supervisor of this machine: a lease, by the database's clock.

Synchronous.
"""

from __future__ import annotations

import socket
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from agents.models import LEASE_HOLDS
from agents.process import is_provably_gone, own_identity
from services.models import Supervisor


def this_node() -> str:
    """The machine, as far as supervisors are concerned."""
    return socket.gethostname()[:191]


def live_supervisor() -> Supervisor | None:
    """The one that holds this machine's lease and may be alive."""
    found = Supervisor.objects.filter(LEASE_HOLDS, node=this_node()).first()
    return None if found is None or is_provably_gone(found.process) else found


def is_anybody_in_charge() -> bool:
    """Whether a supervisor, of this machine or another, may be alive."""
    holders = Supervisor.objects.filter(LEASE_HOLDS)
    return any(not is_provably_gone(each.process) for each in holders)


def acting_supervisor() -> Supervisor | None:
    """The one of this machine, unless it is on its way out: then nothing more is begun by it."""
    found = live_supervisor()
    return None if found is None or found.is_asked_to_leave else found


def take(*, is_automatic: bool) -> int | None:
    """Makes this process the supervisor: the new epoch. None while another may be alive."""
    row = {
        "process": own_identity(),
        "is_automatic": is_automatic,
        "is_asked_to_leave": False,
        "started_at": Now(),
        "lease_until": _lease_end(),
        "ended_at": None,
    }
    former = Supervisor.objects.filter(pk=this_node()).first()
    if former is None:
        try:
            with transaction.atomic():
                Supervisor.objects.create(node=this_node(), **row)
        except IntegrityError:
            return None  # Another was first.
        return 1
    if live_supervisor() is not None:
        return None
    changed = Supervisor.objects.filter(pk=former.pk, epoch=former.epoch).update(
        **row, epoch=F("epoch") + 1
    )
    return former.epoch + 1 if changed else None


def ask_to_leave() -> None:
    """Tells a supervisor that nobody started by hand to make room."""
    Supervisor.objects.filter(pk=this_node(), is_automatic=True).update(is_asked_to_leave=True)


def renew(epoch: int) -> Supervisor | None:
    """Prolongs the lease. None: it is another's."""
    own = Supervisor.objects.filter(pk=this_node(), epoch=epoch, ended_at__isnull=True)
    own.update(lease_until=_lease_end())
    return own.first()


def holds(epoch: int) -> bool:
    """Whether the lease is still ours and has not expired."""
    return Supervisor.objects.filter(LEASE_HOLDS, pk=this_node(), epoch=epoch).exists()


def note_leaving(epoch: int) -> None:
    """Tells everybody that this one only ends what it has."""
    Supervisor.objects.filter(pk=this_node(), epoch=epoch).update(is_asked_to_leave=True)


def release(epoch: int) -> None:
    """Ends the lease, if it is still ours."""
    Supervisor.objects.filter(pk=this_node(), epoch=epoch).update(ended_at=Now())


def _lease_end() -> object:
    return Now() + timedelta(seconds=settings.MYAGENT_LEASE_S)
