"""A new session from a part of another one's log: the turns before, and the first steps of a run.

The entries are copied, under new numbers without gaps: each log stays whole by itself, whatever is
removed of the other, and the fold, resuming and adoption know nothing of forks. The run of the last
turn is one that was never begun; whichever server takes the session over carries it out. Nobody
owns the session before, so the writer of the log has no part in it. Synchronous.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Length

from agents.models import Event, Run, Session
from agents.runtime.ids import new_id
from agents.titles import title_from
from myagent import exact_json
from myagent.messages import ChatMessage
from myagent.protocol import TERMINAL_EVENTS

MOST_ENTRIES = 5_000
"""Entries of earlier turns that are copied at most; the oldest turns are left out."""

MOST_CHARACTERS = 16 * 1024 * 1024
"""The same for their size."""

AT_ONCE = 500
"""Rows of one statement."""

NOT_AGAIN = ("user.cancel", *TERMINAL_EVENTS)
"""Entries of the run that runs again which hold for its first time only."""


class UnknownStep(Exception):
    """The run has not come to that step, or the log does not have it any more. `last`: the highest
    number of a step that it can run again from; 0 if there is none."""

    def __init__(self, last: int) -> None:
        super().__init__(last)
        self.last = last


@dataclass(frozen=True, slots=True)
class Forked:
    """The new session and its unfinished run. `question`: what the run answers."""

    session_id: str
    run_id: str
    question: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Fork:
    """What to copy: all before a run's `step`, a reply of its model (from 1 on).

    `question` replaces the run's message, before the first step only; '' leaves it. `principal`:
    the key of the new session's creator.
    """

    run_id: str
    step: int
    principal: str
    question: str = ""

    def write(self) -> Forked:
        """Call it in a transaction. Raises `Run.DoesNotExist` and `UnknownStep`."""
        run = Run.objects.select_related("session").get(pk=self.run_id)
        end = _end_before(run, self.step)
        earlier = _earlier(run, end)
        kept = [*earlier, run]
        ids = {each.pk: new_id() for each in kept}
        return _Copy(self, run, ids).write(kept, _entries(run, earlier, end))


def _end_before(run: Run, step: int) -> int:
    """Where the log has the reply, or would have it. Raises `UnknownStep`."""
    entries = _of(run, Q(event__in=("user.message", "agent.thinking", *TERMINAL_EVENTS)))
    found = list(entries.values_list("seq", "event"))
    replies = [seq for seq, event in found if event == "agent.thinking"]
    has_begun = bool(found) and found[0][1] == "user.message"
    ends = [seq for seq, event in found if event in TERMINAL_EVENTS]
    if has_begun and run.status not in (Run.Status.ANSWERED, *Run.UNFINISHED):
        # What it was asked for last did not come: it can be asked for again.
        replies += ends
    # Not every agent has replies in the log, and none may have come so far.
    replies = replies or ends or [run.session.last_seq + 1]
    if not has_begun or not 1 <= step <= len(replies):
        raise UnknownStep(len(replies) if has_begun else 0)
    return replies[step - 1]


def _of(run: Run, which: Q) -> QuerySet[Event]:
    # By position in the log, which is indexed.
    entries = Event.objects.filter(session_id=run.session_id, seq__gte=run.accepted_seq)
    return entries.filter(which, run_id=run.pk).order_by("seq")


def _earlier(run: Run, end: int) -> list[Run]:
    """The runs before it in the model's memory, the newest as far as they are copied, in order."""
    found = Run.objects.filter(session_id=run.session_id, ordinal__lt=run.ordinal)
    before = Event.objects.filter(session_id=run.session_id, seq__lt=end, run__isnull=False)
    counted = before.order_by().values("run_id")
    sizes = {
        each["run_id"]: (each["entries"], each["characters"] or 0)
        for each in counted.annotate(entries=Count("pk"), characters=Sum(Length("payload")))
    }
    kept: list[Run] = []
    entries = characters = 0
    for each in found.order_by("-ordinal")[:MOST_ENTRIES]:
        entries += sizes.get(each.pk, (0, 0))[0]
        characters += sizes.get(each.pk, (0, 0))[1]
        if each.pk not in sizes or entries > MOST_ENTRIES or characters > MOST_CHARACTERS:
            break
        kept.append(each)
    return kept[::-1]


def _entries(run: Run, earlier: Sequence[Run], end: int) -> Iterator[Event]:
    of_the_log = Event.objects.filter(session_id=run.session_id)
    begin = of_the_log.filter(event="agent.session_created").order_by("seq").first()
    if begin is not None:
        yield begin
    turns = {each.pk for each in earlier}
    first = min(each.accepted_seq for each in (*earlier, run))
    before = of_the_log.filter(seq__gte=first, seq__lt=end, run__isnull=False).order_by("seq")
    for entry in before.iterator(AT_ONCE):
        is_of_run = entry.run_id == run.pk and entry.event not in NOT_AGAIN
        if entry.run_id in turns or is_of_run:
            yield entry


class _Copy:
    """`ids`: the new ids of runs, by the old ones."""

    def __init__(self, fork: Fork, run: Run, ids: Mapping[str, str]) -> None:
        self._fork = fork
        self._run = run
        self._ids = ids
        self._session_id = new_id()
        now = datetime.now(UTC)
        self._now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self._question = fork.question
        self._accepted: dict[str, int] = {}

    def write(self, runs: Iterable[Run], entries: Iterable[Event]) -> Forked:
        copies: list[Event] = []
        session = self._session()
        session.save(force_insert=True)
        count = 0
        for count, entry in enumerate(entries, 1):
            copies.append(self._entry(entry, count))
            if len(copies) == AT_ONCE:
                Event.objects.bulk_create(copies)
                copies.clear()
        Event.objects.bulk_create(copies)
        Run.objects.bulk_create(
            [self._copied(run, ordinal) for ordinal, run in enumerate(runs, 1)], batch_size=AT_ONCE
        )
        session.last_seq = count
        session.title = session.title or title_from(self._question)
        session.save(update_fields=["last_seq", "title"])
        run_id = self._ids[self._run.pk]
        return Forked(session.pk, run_id, self._question, self._now)

    def _session(self) -> Session:
        origin = self._run.session
        return Session(
            id=self._session_id,
            service=origin.service,
            lang=origin.lang,
            tags=origin.tags,
            client=origin.client,
            title="" if self._fork.question else origin.title,
            principal=self._fork.principal,
            created_at=self._now,
            updated_at=self._now,
        )

    def _copied(self, run: Run, ordinal: int) -> Run:
        seq = self._accepted[run.pk]
        copy = Run(
            id=self._ids[run.pk],
            session_id=self._session_id,
            message_id=run.message_id,
            message_key=run.message_key,
            accepted_seq=seq,
            position=seq,
            ordinal=ordinal,
            status=run.status,
            accepted_at=run.accepted_at,
            started_at=run.started_at,
            ended_at=run.ended_at,
            attempts=run.attempts,
        )
        if run.pk == self._run.pk:
            copy.status, copy.attempts, copy.ended_at = Run.Status.RUNNING, 0, None
            copy.accepted_at = copy.started_at = self._now
        return copy

    def _entry(self, entry: Event, seq: int) -> Event:
        data = exact_json.loads(entry.payload)
        metadata = data["metadata"]
        if metadata.get("run_id") in self._ids:
            metadata["run_id"] = self._ids[metadata["run_id"]]
        run_id, message = entry.run_id, entry.message
        if run_id is None:
            metadata["forked_from"] = self._origin()
        elif entry.event == "user.message":
            self._accepted[run_id] = seq
            if run_id == self._run.pk:
                message = self._asked(data, message)
        return Event(
            session_id=self._session_id,
            seq=seq,
            epoch=1,
            run_id=None if run_id is None else self._ids[run_id],
            event=entry.event,
            step_id=entry.step_id,
            created_at=entry.created_at,
            payload=exact_json.dumps(data),
            message=message,
        )

    def _origin(self) -> dict[str, Any]:
        run = self._run
        return {"session_id": run.session_id, "run_id": run.pk, "step": self._fork.step}

    def _asked(self, data: dict[str, Any], message: str | None) -> str | None:
        """The message that the run answers now."""
        # It does not run for the client's span, and waits for nobody.
        data["metadata"].pop("traceparent", None)
        data["metadata"]["position"] = 0
        if not self._question:
            self._question = data["content"]
            return message
        data["content"] = self._question
        return ChatMessage("user", self._question).json.decode()
