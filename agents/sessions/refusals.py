"""What a client is told when its request was not written to the log."""

from __future__ import annotations

from agents.log.journal import JournalStopped
from agents.log.writes import OwnershipLost
from myagent.protocol import ErrorCode


def code_of(error: Exception) -> ErrorCode:
    """The protocol's code for a failed write."""
    match error:
        case OwnershipLost():
            return "moved"
        case JournalStopped():
            return "service_unavailable"
        case _:
            return "internal_error"
