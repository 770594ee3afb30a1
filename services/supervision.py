"""Which process is the supervisor of this machine: a lease, by the database's clock.

Synchronous.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_noop
from filelock import FileLock, Timeout

from agents import schema
from agents.process import is_provably_gone, own_identity
from services.errors import ServiceError
from services.launchers.local import MARKER
from services.models import Service, Supervisor

START_S = 30.0
"""Seconds that a supervisor started in the background has to take its lease."""


def this_node() -> str:
    """The machine, as far as supervisors are concerned."""
    return socket.gethostname()[:191]


def live_supervisor() -> Supervisor | None:
    """The one that holds this machine's lease and may be alive."""
    found = Supervisor.objects.filter(
        node=this_node(), ended_at__isnull=True, lease_until__gt=Now()
    ).first()
    return None if found is None or is_provably_gone(found.process) else found


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
    return Supervisor.objects.filter(
        pk=this_node(), epoch=epoch, ended_at__isnull=True, lease_until__gt=Now()
    ).exists()


def note_leaving(epoch: int) -> None:
    """Tells everybody that this one only ends what it has."""
    Supervisor.objects.filter(pk=this_node(), epoch=epoch).update(is_asked_to_leave=True)


def release(epoch: int) -> None:
    """Ends the lease, if it is still ours."""
    Supervisor.objects.filter(pk=this_node(), epoch=epoch).update(ended_at=Now())


def ensure_supervisor() -> bool:
    """Makes sure that somebody acts on what is desired; True if one had to be started.

    On SQLite one is started in the background. Raises `ServiceError` if there
    is none and none may be started.
    """
    if acting_supervisor() is not None or Supervisor.objects.filter(
        ended_at__isnull=True, lease_until__gt=Now()
    ).exclude(node=this_node()):
        return False
    if settings.MYAGENT_SUPERVISOR == "external" or not settings.IS_EMBEDDED:
        raise ServiceError(
            "no_supervisor",
            gettext_noop(
                "No supervisor is running, so nothing happens yet. Start one with: "
                "manage.py supervise"
            ),
        )
    _start_one()
    return True


def is_needed() -> bool:
    """Whether there is anything to supervise: a service to run, an instance that lives."""
    mine = Service.objects.filter(url="")
    return (
        mine.filter(desired=Service.Desired.RUNNING).exists()
        or mine.filter(instances__live_slot__isnull=False).exists()
        or mine.filter(unregistered_at__isnull=False).exists()
    )


def _start_one() -> None:
    """One at a time: whoever waited finds the first one's."""
    schema.apply_pending(settings.VAR_DIR)
    log = settings.VAR_DIR / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(settings.VAR_DIR / "supervisor.lock", timeout=START_S):
            if acting_supervisor() is None:
                _start(log)
    except Timeout as error:
        raise _not_started(log) from error


def _start(log: Path) -> None:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "supervise", "--automatic"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Typed inside an agent, the command carries the agent's own marker.
            env={name: value for name, value in os.environ.items() if name != MARKER},
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while acting_supervisor() is None:
        # One that finds another already there leaves with status 0; so does one that is done.
        status = process.poll()
        if status == 0 and not is_needed():
            return
        if status not in (None, 0) or time.monotonic() > deadline:
            raise _not_started(log)
        time.sleep(0.05)


def _not_started(log: Path) -> ServiceError:
    return ServiceError(
        "no_supervisor",
        gettext_noop("The supervisor could not be started; its log says why: {log}"),
        log=str(log),
    )


def _lease_end() -> object:
    return Now() + timedelta(seconds=settings.MYAGENT_LEASE_S)
