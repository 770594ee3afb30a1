"""What was said of answers, as the log has it. Synchronous reads."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from agents.log.entry import Logged
from agents.log.reading import entry_at
from agents.models import Event, Run


@dataclass(frozen=True, slots=True)
class Rateable:
    """A run, and the newest feedback on it of one principal."""

    run_id: str
    has_ended: bool
    feedback: Logged | None


def run_to_rate(session_id: str, message_id: str, principal: str) -> Rateable | None:
    """The run of an accepted message, with the newest feedback that the principal gave on it."""
    found = Run.objects.filter(session_id=session_id, message_key=Run.key_of(message_id))
    run = found.values_list("pk", "accepted_seq", "ended_at").first()
    if run is None:
        return None
    run_id, seq, ended_at = run
    feedback = None if ended_at is None else _newest(session_id, seq, run_id, principal)
    return Rateable(run_id, ended_at is not None, feedback)


def _newest(session_id: str, after: int, run_id: str, principal: str) -> Logged | None:
    # By position in the log, which is indexed.
    given = Event.objects.filter(
        session_id=session_id, seq__gt=after, run_id=run_id, event="user.feedback"
    )
    for seq, payload in given.order_by("-seq").values_list("seq", "payload"):
        if orjson.loads(payload)["metadata"].get("principal", "") == principal:
            return entry_at(session_id, seq)
    return None
