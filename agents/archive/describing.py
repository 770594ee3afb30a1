"""Conversations as JSON: the same for REST, `--json` and exports. Synchronous reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents.log.entry import Logged
from agents.log.reading import page_after
from agents.models import Session
from myagent.protocol import timestamp, timestamp_or_none

Json = dict[str, Any]

PAGE_CHARACTERS = 1024 * 1024
"""Entries are read in pages of this size."""


def session_json(session: Session) -> Json:
    """`session`: annotated with its status (see `agents.archive.status`)."""
    return {
        "session_id": session.pk,
        "title": session.title,
        "service": session.service,
        "status": session.status,  # type: ignore[attr-defined]
        "lang": session.lang,
        "tags": session.tags,
        "client": session.client,
        "principal": session.principal,
        "last_seq": session.last_seq,
        "created_at": timestamp(session.created_at),
        "updated_at": timestamp(session.updated_at),
        "closed_at": timestamp_or_none(session.closed_at),
        "close_reason": session.close_reason,
    }


def entries_of(session_id: str) -> Iterator[Logged]:
    """The whole log, read in pages."""
    seq, is_last = 0, False
    while not is_last:
        page, is_last = page_after(session_id, seq, 500, PAGE_CHARACTERS)
        yield from page
        seq = page[-1].seq if page else seq
