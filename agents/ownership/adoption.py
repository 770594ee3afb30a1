"""Takes over one session: its ownership, its memory, its unfinished runs. Synchronous."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings

from agents.log import reading
from agents.ownership import servers, taking
from agents.ownership.taking import OwnedElsewhere, Taken


@dataclass(frozen=True, slots=True)
class Adopted:
    taken: Taken
    opened: reading.Opened


def adopt(session_id: str, services: Collection[str], own_id: str) -> Adopted:
    """Makes `own_id` the owner of the session and reads what it needs to continue.

    Raises `UnknownSession`, `OwnedElsewhere` if another server is alive, or `Locked`.
    """
    taken = _take(session_id, services, own_id)
    budget = settings.MYAGENT_CONTEXT_TOKENS
    opened = reading.open_session(session_id, budget, is_closed=taken.is_closed)
    return Adopted(taken, opened)


def _take(session_id: str, services: Collection[str], own_id: str) -> Taken:
    try:
        return taking.take(session_id, services, own_id)
    except OwnedElsewhere as error:
        if not servers.end_if_gone(error.server_id):
            raise
        return taking.take(session_id, services, own_id)
