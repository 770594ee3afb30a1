"""Counts what models cost, for metrics."""

from __future__ import annotations

from django.utils import timezone

from agents import metrics
from agents.log.fold import usage_of
from agents.log.writes import Write
from traces.models import NANO
from traces.recording.refreshing import recorder


def count(write: Write) -> None:
    """See `agents.log.observers`."""
    # Most writes have none.
    replies = [entry for entry in write.entries if entry.event == "agent.thinking"]
    facts = write.facts
    if not replies or facts is None or facts.agent is None or (present := recorder()) is None:
        return
    for reply in replies:
        usage = usage_of(reply.metadata)
        nano = present.prices.cost_nano(facts.agent.model, usage, timezone.now())
        if nano:
            metrics.COST.labels(facts.service).inc(nano / NANO)
