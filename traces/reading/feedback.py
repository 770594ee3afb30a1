"""What clients said of answers: which traces have it, and what it adds up to. Synchronous reads."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Avg, Count, Q, QuerySet

from myagent.protocol import timestamp
from traces.models import Feedback, Trace

Json = dict[str, Any]


class Kind(StrEnum):
    """Of a trace: somebody liked its answer, or did not, said anything, or nobody did."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    ANY = "any"
    NONE = "none"


SCORES = {
    Kind.POSITIVE: Q(score__gt=0),
    Kind.NEGATIVE: Q(score__lt=0),
    Kind.ANY: Q(score__isnull=False),
}


def given(kind: Kind) -> QuerySet[Feedback]:
    """All of a kind; of `NONE` what a trace must not have."""
    return Feedback.objects.filter(SCORES.get(kind, SCORES[Kind.ANY]))


def feedback_json(trace: Trace) -> list[Json]:
    """The last word of each client, the newest first."""
    # One that is taken back has no score.
    rows = [each for each in trace.feedback.all() if each.score is not None]
    return [
        {
            "principal": each.principal,
            "score": each.score,
            "comment": comment_of(trace, each),
            "given_at": timestamp(each.given_at),
        }
        for each in sorted(rows, key=lambda each: each.given_at, reverse=True)
    ]


def comment_of(trace: Trace, feedback: Feedback) -> str:
    """As far as it may be seen."""
    return "" if trace.content == Trace.Content.OFF else feedback.comment


def totals(column: str, since: datetime, until: datetime, services: Set[str] | None) -> list[Json]:
    """What was given in this time, by a column of `Feedback`; the most frequent first.

    `services`: the only ones that count.
    """
    rows = given(Kind.ANY).filter(given_at__gte=since, given_at__lt=until)
    if services is not None:
        rows = rows.filter(service__in=services)
    found = (
        rows.order_by()
        .values(column)
        .annotate(
            count=Count("pk"),
            positive=Count("pk", filter=SCORES[Kind.POSITIVE]),
            negative=Count("pk", filter=SCORES[Kind.NEGATIVE]),
            average=Avg("score"),
        )
    )
    items = [
        {
            "group": each[column],
            "count": each["count"],
            "positive": each["positive"],
            "negative": each["negative"],
            "avg_score": round(each["average"], 3),
        }
        for each in found
    ]
    return sorted(items, key=lambda item: (-item["count"], item["group"]))
