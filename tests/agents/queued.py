"""A run in the database that waits."""

from __future__ import annotations

from django.utils import timezone

from agents.models import Run, Session
from agents.runtime.ids import new_id


def queued_run(session: Session) -> Run:
    """The run of the session's first message."""
    return Run.objects.create(
        id=new_id(),
        session=session,
        message_id="m",
        message_key=Run.key_of("m"),
        accepted_seq=1,
        position=1,
        status=Run.Status.QUEUED,
        accepted_at=timezone.now(),
    )
