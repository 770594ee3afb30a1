"""Titles for conversations that began before conversations had any. Synchronous."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Min

from agents.models import Event, Session
from agents.titles import title_from
from myagent import exact_json


def give_titles(sessions: Sequence[Session]) -> None:
    """Names those without a title by the first words of their first message, and stores that.

    Those in which nothing was said stay without one. Raises `django.db.Error`.
    """
    untitled = {session.pk: session for session in sessions if not session.title}
    for session_id, payload in _first_messages(list(untitled)):
        session = untitled[session_id]
        session.title = title_from(exact_json.loads(payload)["content"])
        # Somebody may have renamed it meanwhile.
        Session.objects.filter(pk=session_id, title="").update(title=session.title)


def _first_messages(ids: Sequence[str]) -> list[tuple[str, str]]:
    """The ids of those in which somebody has said something, each with that entry's payload."""
    if not ids:
        return []
    said = Event.objects.filter(session_id__in=ids, event="user.message")
    firsts = dict(said.order_by().values_list("session_id").annotate(Min("seq")))
    found = Event.objects.filter(session_id__in=firsts, seq__in={*firsts.values()})
    rows = found.values_list("session_id", "seq", "payload")
    return [(session_id, payload) for session_id, seq, payload in rows if firsts[session_id] == seq]
