"""Traces as they are now, with what was said in them. Synchronous reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Prefetch

from agents.models import Event, Run
from agents.runtime.durations import ms_between
from myagent import exact_json, span_ids
from myagent.protocol import TERMINAL_EVENTS
from traces.live.messages import Inside, Message, messages_of
from traces.models import MAX_EXCERPT, Feedback, Span, Trace
from traces.reading.contents import LogEntry, Shown, contents_in, entries_of

STEPS = Prefetch("spans", Span.objects.exclude(kind=Span.Kind.WORK))
"""The spans that the trace dialect tells of."""

TOGETHER = 32
"""Runs whose entries are read by one query."""


@dataclass(frozen=True, slots=True)
class Present:
    """A trace, its spans and what was said of its answer, as they are now."""

    trace: Trace
    spans: Sequence[Span]
    feedback: Sequence[Feedback] = ()

    def first_seq_for(self, told: AbstractSet[str]) -> int:
        """Where the log begins to hold what a reader lacks who was told these messages; 0: at the
        run's message.
        """
        if f"trace_start_{span_ids.run_span_id(self.trace.pk)}" not in told:
            return 0
        lacking = [s.step for s in self.spans if f"{s.kind}_{s.span_id}" not in told]
        step = min(lacking, default=None)
        replies = [
            span.end_seq
            for span in self.spans
            if span.kind == Span.Kind.THINK and (step is None or span.step < step)
        ]
        return max(replies, default=0)


def present(trace_ids: Collection[str]) -> dict[str, Present]:
    """Those that exist. A span may be newer than its trace, and never older."""
    found = Trace.objects.filter(pk__in=trace_ids).prefetch_related(STEPS, "feedback")
    return {
        trace.pk: Present(
            trace,
            list(trace.spans.all()),
            sorted(trace.feedback.all(), key=lambda each: each.given_at),
        )
        for trace in found
    }


def present_or_bare(run_ids: Collection[str]) -> dict[str, Present]:
    """The same of runs that have begun or ended. Of one that is not traced, its start and end."""
    found = present(run_ids)
    runs = Run.objects.filter(pk__in=set(run_ids) - found.keys())
    for run in runs.exclude(status=Run.Status.QUEUED).select_related("session"):
        found[run.pk] = Present(_bare(run), [])
    return found


def all_messages(
    wanted: Sequence[Present], told: Mapping[str, AbstractSet[str]]
) -> dict[str, list[Message]]:
    """The messages of each. What was said is read as far as somebody lacks it.

    `told`: by trace, the messages that nobody lacks.
    """
    found: dict[str, list[Message]] = {}
    for at in range(0, len(wanted), TOGETHER):
        page = wanted[at : at + TOGETHER]
        said = entries_of(
            {
                each.trace.pk: (each.trace.session_id, each.first_seq_for(told[each.trace.pk]))
                for each in page
                if each.trace.content != Trace.Content.OFF
            }
        )
        for each in page:
            inside = _inside(each, said.get(each.trace.pk, []))
            found[each.trace.pk] = messages_of(each.trace, each.spans, inside, each.feedback)
    return found


def _inside(now: Present, entries: Sequence[LogEntry]) -> Inside:
    """Empty if it may not be shown."""
    if now.trace.content == Trace.Content.OFF:
        return Inside()
    shown = Shown(now.trace.content)
    texts = {each.event: each.data["content"] for each in entries}
    return Inside(
        shown.json(texts.get("user.message")),
        shown.json(texts.get("agent.final_answer")),
        contents_in(entries, now.trace, now.spans),
    )


def _bare(run: Run) -> Trace:
    """What is known of a run without its trace."""
    began_at = run.started_at or run.accepted_at
    trace = Trace(
        id=run.pk,
        session_id=run.session_id,
        service=run.session.service,
        principal=run.session.principal,
        status=run.status,
        content=settings.MYAGENT_TRACE_CONTENT,
        started_at=began_at,
        ended_at=run.ended_at,
    )
    if run.ended_at is not None:
        trace.duration_ms = ms_between(began_at, run.ended_at)
        if run.status in (Run.Status.FAILED, Run.Status.TIMED_OUT):
            trace.error, trace.error_type = _failure_of(run)
    return trace


def _failure_of(run: Run) -> tuple[str, str]:
    """The sentence and the code of its end."""
    ends = Event.objects.filter(
        session_id=run.session_id,
        seq__gt=run.accepted_seq,
        run_id=run.pk,
        event__in=TERMINAL_EVENTS,
    )
    payload = ends.values_list("payload", flat=True).first()
    if payload is None:
        return "", ""
    data = exact_json.loads(payload)
    return str(data["content"])[:MAX_EXCERPT], data["metadata"].get("code", "")
