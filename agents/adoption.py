"""A session taken over: its ownership, its memory, its unfinished runs. Synchronous."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from agents import ownership, reading
from agents.ownership import OwnedElsewhere, Taken

MOST_ADOPTIONS = 3
"""A run adopted this often without a new entry kills its process, and is ended."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """`killers` are the unfinished runs that must not go on."""

    taken: Taken
    opened: reading.Opened
    killers: list[str]


def adopt(session_id: str, service: str, own_id: str, may_expire: bool) -> Adopted:
    """Makes `own_id` the session's owner and reads what it needs to go on.

    Raises `UnknownSession`, or `OwnedElsewhere` if another runner is alive.
    """
    taken = _take(session_id, service, own_id, may_expire)
    budget = settings.MYAGENT_CONTEXT_TOKENS
    opened = reading.open_session(session_id, budget, is_closed=taken.is_closed)
    return Adopted(taken, opened, _killers(opened) if taken.was_orphaned else [])


def _take(session_id: str, service: str, own_id: str, may_expire: bool) -> Taken:
    try:
        return ownership.take(session_id, service, own_id, may_expire)
    except OwnedElsewhere as error:
        if not ownership.end_if_gone(error.runner_id):
            raise
        return ownership.take(session_id, service, own_id, may_expire)


def _killers(opened: reading.Opened) -> list[str]:
    """Runs at which process after process ended; one that waits for somebody does no harm."""
    working = [run for run in opened.unfinished if run.ordinal is not None]
    return [
        run.run_id
        for run in working
        if not run.state.waiting
        and ownership.count_adoption(run.run_id, run.last_seq) >= MOST_ADOPTIONS
    ]
