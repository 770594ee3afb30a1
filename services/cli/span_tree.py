"""The steps of a run as a tree: replies of the model, and below each the tools that it called."""

from __future__ import annotations

from itertools import groupby

from django.utils.translation import gettext

from agents.terminal.inert import one_line
from services.cli.screen import Branch
from traces.models import Span, Trace
from traces.reading.describing import duration_ms, parents_among, spans_of

LONGEST_NAME = 80
LONGEST_ERROR = 200


def branches_of(trace: Trace) -> list[Branch]:
    """A run of several attempts has a branch for each."""
    spans = list(spans_of(trace))
    parents = parents_among(spans)
    branches = {span.span_id: Branch(_line(span), span.status) for span in spans}
    roots: list[Span] = []
    for span in spans:
        parent = branches.get(parents.get(span.span_id, ""))
        if parent is None:
            roots.append(span)
        else:
            parent.branches.append(branches[span.span_id])
    by_attempt = {
        attempt: [branches[span.span_id] for span in some]
        for attempt, some in groupby(roots, lambda span: span.attempt)
    }
    if len(by_attempt) < 2:
        return [branch for some in by_attempt.values() for branch in some]
    return [
        Branch(gettext("attempt {number}").format(number=attempt), "", some)
        for attempt, some in by_attempt.items()
    ]


def _line(span: Span) -> str:
    parts = [
        f"{span.kind} {one_line(span.name, LONGEST_NAME)}",
        str(Span.Status(span.status).label),
    ]
    took_ms = duration_ms(span)
    if took_ms is not None:
        parts.append(f"{took_ms} ms")
    if span.prompt_tokens or span.completion_tokens:
        tokens = gettext("{prompt} + {completion} tokens")
        parts.append(tokens.format(prompt=span.prompt_tokens, completion=span.completion_tokens))
    line = " · ".join(parts)
    return f"{line}: {one_line(span.error, LONGEST_ERROR)}" if span.error else line
