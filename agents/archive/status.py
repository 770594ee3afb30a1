"""What a stored conversation is doing, as its log tells it. Synchronous reads."""

from __future__ import annotations

from enum import StrEnum

from django.db.models import Case, CharField, Exists, OuterRef, QuerySet, Value, When

from agents.models import Event, Run, Session


class Status(StrEnum):
    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    """Somebody is asked for a confirmation."""
    CLOSED = "closed"


OPEN = "open"
"""Any but closed: a filter, and no status of its own."""

ANSWERS = ("user.response", "agent.tool_result")
"""What ends a question: a response, or a result without one, at its deadline."""


def with_status(sessions: QuerySet[Session]) -> QuerySet[Session]:
    """The sessions with their `Status` as `status`."""
    return sessions.annotate(
        status=Case(
            When(closed_at__isnull=False, then=Value(Status.CLOSED)),
            When(~Exists(_unfinished()), then=Value(Status.IDLE)),
            When(Exists(_questions()), then=Value(Status.WAITING)),
            default=Value(Status.RUNNING),
            output_field=CharField(),
        )
    )


def in_status(sessions: QuerySet[Session], status: str) -> QuerySet[Session]:
    """Those in one status, or `OPEN`; annotated with their status."""
    if status == OPEN:
        return with_status(sessions.filter(closed_at__isnull=True))
    if status == Status.CLOSED:
        return with_status(sessions.filter(closed_at__isnull=False))
    unfinished = Run.objects.filter(status__in=Run.UNFINISHED)
    if status != Status.IDLE:
        # Few of many sessions: an index finds them.
        sessions = sessions.filter(pk__in=unfinished.values("session_id"))
    return with_status(sessions).filter(status=status)  # type: ignore[misc]


def _unfinished() -> QuerySet[Run]:
    return Run.objects.filter(session_id=OuterRef("pk"), status__in=Run.UNFINISHED)


def _questions() -> QuerySet[Run]:
    """Runs that wait for an answer to a question of theirs."""
    answered = Event.objects.filter(
        session_id=OuterRef("session_id"),
        seq__gt=OuterRef("seq"),
        step_id=OuterRef("step_id"),
        event__in=ANSWERS,
    )
    asked = Event.objects.filter(
        ~Exists(answered),
        session_id=OuterRef("session_id"),
        seq__gt=OuterRef("accepted_seq"),
        run_id=OuterRef("pk"),
        event="agent.user_confirm",
    )
    running = Run.objects.filter(session_id=OuterRef("pk"), status=Run.Status.RUNNING)
    return running.filter(Exists(asked))
