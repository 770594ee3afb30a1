"""What a session's owner tells the servers that follow it, and its form on the way. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agents.log.entry import Logged
from agents.sessions.pieces import Piece

Told = Logged | Piece
"""An entry that is committed, or a preview of one."""


def encode(told: Told) -> list[Any]:
    """Values that a channel layer takes."""
    match told:
        case Logged():
            at = told.created_at.isoformat()
            return ["entry", told.seq, told.event, told.step_id, at, told.payload]
        case Piece():
            where = [told.seq, told.run_id, told.step, told.offset]
            return ["piece", *where, told.text, told.notice]


def decode(session_id: str, words: Sequence[Any]) -> Told:
    """The inverse of `encode`."""
    kind, *values = words
    if kind == "piece":
        return Piece(*values)
    seq, event, step_id, at, payload = values
    return Logged(session_id, seq, event, step_id, datetime.fromisoformat(at), payload)
