"""Starts a supervisor in the background if a command finds none.

Synchronous.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings
from django.db.models import F
from django.utils.translation import gettext_noop
from filelock import FileLock, Timeout

from agents.runtime import schema, systemd
from services.errors import ServiceError
from services.logs import logfiles
from services.models import Service
from services.nodes import this_node
from services.supervision import supervisor_lease
from services.supervision.launchers.local import MARKER, for_its_owner
from services.supervision.launchers.marks import unmark

START_S = 30.0
"""Seconds that a supervisor started in the background has to take its lease."""


class SupervisorNotStarted(ServiceError):
    """The supervisor that was to be started is not there. `log` tells why."""

    def __init__(self, log: Path) -> None:
        super().__init__(
            "no_supervisor",
            gettext_noop("The supervisor could not be started; its log says why: {log}"),
            log=str(log),
        )
        self.log = log


def ensure_supervisor(service: Service | None = None) -> bool:
    """Makes sure that a supervisor acts on the desired state; True if one had to be started.

    On SQLite one is started in the background; a `service` that is gone needs none. Raises
    `ServiceError` if there is none and none may be started, unless a supervisor of one worker of
    `service` acts; and `django.db.Error`, at once, if the database can't be written to.
    """
    elsewhere = supervisor_lease.machines_supervised().exclude(node=this_node())
    if supervisor_lease.acting_supervisor() is not None or elsewhere.exists():
        return False
    if service is not None and not Service.objects.filter(pk=service.pk).exists():
        # It has been unregistered: there is nothing left to do for it.
        return False
    if settings.MYAGENT_SUPERVISOR == "external" or not settings.IS_EMBEDDED:
        if service is not None and supervisor_lease.is_supervised_apart(service):
            return False
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
    """One at a time: callers that waited find the first one's supervisor."""
    schema.apply_pending(settings.VAR_DIR)
    _prove_writable()
    log = logfiles.path_of_supervisor()
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(settings.VAR_DIR / "supervisor.lock", timeout=START_S):
            if supervisor_lease.acting_supervisor() is None:
                _start(log)
    except Timeout as error:
        raise SupervisorNotStarted(log) from error


def _prove_writable() -> None:
    """If the disk is full, a supervisor could not start before the time-out: fails now instead."""
    first = Service.objects.values_list("pk", flat=True).first()
    Service.objects.filter(pk=first).update(revision=F("revision"))


def _start(log: Path) -> None:
    with open(log, "ab", opener=for_its_owner) as output:
        process = subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "supervise", "--automatic"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            start_new_session=True,
        )
    # If the command is typed inside an agent, the supervisor is not part of that all the same.
    unmark(process.pid)
    deadline = time.monotonic() + START_S
    while supervisor_lease.acting_supervisor() is None:
        # A supervisor that finds another one ends with status 0, as does one that is done.
        status = process.poll()
        if status == 0 and not is_needed():
            return
        if status not in (None, 0) or time.monotonic() > deadline:
            raise SupervisorNotStarted(log)
        time.sleep(0.05)


def environment() -> dict[str, str]:
    """For a process of the site that this one starts."""
    # If the command is typed inside an agent, its environment has the agent's own marker. The
    # site's file is read anew, so that its variables are told apart from those of the environment.
    # To systemd only the process that it started has something to tell.
    left_out = {MARKER, systemd.ADDRESS, *settings.FROM_ENV_FILE}
    return {name: value for name, value in os.environ.items() if name not in left_out}
