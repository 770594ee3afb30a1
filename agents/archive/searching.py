"""Finds a text in what was said in conversations, as far as a bounded search gets. Synchronous."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import reduce
from operator import or_

import orjson
from django.db.models import Q, QuerySet

from agents.models import Event, Session

MOST_SESSIONS = 1_000
"""Conversations that are searched, the newest of those given."""

MOST_ENTRIES = 2_000
"""Entries of each that are searched, the last ones."""

SEARCH_S = 2.0
"""Seconds after which no further conversations are searched."""

AT_ONCE = 20
"""Conversations that one query searches: the time is looked at between two."""

SAID = ("user.message", "agent.final_answer")
"""What people and agents have said: the entries in which a text is searched."""


def said_in(sessions: QuerySet[Session], text: str) -> list[str]:
    """The ids of those in which the text was said, whatever its case."""
    # The entries are JSON, in which a quotation mark, for example, is escaped.
    escaped = orjson.dumps(text).decode()[1:-1]
    newest = list(sessions.order_by("-pk").values_list("pk", "last_seq")[:MOST_SESSIONS])
    ends_at = time.monotonic() + SEARCH_S
    found: list[str] = []
    for start in range(0, len(newest), AT_ONCE):
        found += _said_in(newest[start : start + AT_ONCE], escaped)
        if time.monotonic() >= ends_at:
            break
    return found


def _said_in(some: Sequence[tuple[str, int]], escaped: str) -> list[str]:
    places = [Q(session_id=pk, seq__gt=last_seq - MOST_ENTRIES) for pk, last_seq in some]
    said = Event.objects.filter(reduce(or_, places), event__in=SAID, payload__icontains=escaped)
    return list(said.values_list("session_id", flat=True).distinct())
