"""An instance from the inside: the runner that finds its row, and writes down how it fares.

Synchronous.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.db.models import Q
from django.utils import timezone

from agents.process import own_identity
from services import doorbell
from services.launchers.local import MARKER
from services.logfiles import path_of
from services.models import Instance
from services.telling import kept


class GivenUp(Exception):
    """Nobody waits for this process any more: another has its place, or none is wanted."""


class Place:
    """The row of this process."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.log: Path = path_of(instance.service_id, instance.pk)

    @classmethod
    def claim(cls) -> Place | None:
        """The row under whose id this process was launched. None: it was started by hand.

        Raises `GivenUp`.
        """
        instance_id = os.environ.get(MARKER)
        if not instance_id:
            return None
        own = own_identity()
        waits = Instance.objects.filter(
            Q(process="") | Q(process=own), pk=instance_id, state=Instance.State.STARTING
        )
        if not waits.update(process=own, pid=os.getpid()):
            raise GivenUp
        return cls(Instance.objects.select_related("service").get(pk=instance_id))

    def is_given_up(self) -> bool:
        """Whether somebody declared this process dead."""
        return not Instance.objects.filter(pk=self.instance.pk, live_slot__isnull=False).exists()

    def note_ready(self, port: int) -> None:
        Instance.objects.filter(pk=self.instance.pk, ready_at__isnull=True).update(
            ready_at=timezone.now(), port=port
        )
        doorbell.ring(self.instance.service_id)

    def note_failure(self, sentence: str, exit_code: int) -> None:
        Instance.objects.filter(pk=self.instance.pk).update(
            error=kept(sentence), exit_code=exit_code
        )
        doorbell.ring(self.instance.service_id)
