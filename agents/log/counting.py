"""Counts what was committed, for metrics: so they agree with the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from agents import metrics
from agents.log import observers
from agents.log.entry import Entry
from agents.log.fold import usage_of
from agents.log.writes import Write
from agents.runtime.limits import Seldom

logger = structlog.get_logger(__name__)

_failures = Seldom()


def count_commit(seconds: float, writes: Sequence[Write]) -> None:
    """One commit: how long it took, and the writes that are in the log now.

    A failure, such as a full disk under the files that processes count in, costs these counts only.
    """
    try:
        _count_all(seconds, writes)
    except Exception:
        if (left_out := _failures.take()) is not None:
            logger.exception("commit_not_counted", left_out=left_out)


def _count_all(seconds: float, writes: Sequence[Write]) -> None:
    metrics.COMMIT_SECONDS.observe(seconds)
    metrics.COMMIT_WRITES.observe(len(writes))
    for write in writes:
        _count(write)
        for observe in observers.registered():
            observe(write)


def _count(write: Write) -> None:
    service = write.facts.service if write.facts else ""
    new = write.new_run
    attempt = 0 if write.continues is None else write.continues.attempt
    # A run that was only written down starts by its first attempt.
    if write.starts is not None or (new is not None and new.ordinal is not None) or attempt == 1:
        metrics.RUNS_STARTED.labels(service).inc()
    if attempt > 1:
        metrics.RUN_CONTINUATIONS.labels(service).inc()
    for entry in write.entries:
        count = BY_EVENT.get(entry.event)
        if count is not None:
            count(service, entry)
    for status in write.ends.values():
        metrics.RUNS_ENDED.labels(service, status).inc()
    for run in write.ended:
        metrics.RUN_SECONDS.labels(service).observe(run.age_ms / 1000)


def _count_reply(service: str, entry: Entry) -> None:
    metrics.MODEL_SECONDS.labels(service).observe(entry.metadata["duration_ms"] / 1000)
    if (first_ms := entry.aside.get("first_token_ms")) is not None:
        metrics.FIRST_TOKEN_SECONDS.labels(service).observe(first_ms / 1000)
    usage = usage_of(entry.metadata)
    for kind, tokens in (
        ("prompt", usage.prompt_tokens),
        ("completion", usage.completion_tokens),
        ("cached", usage.cached_tokens),
        ("reasoning", usage.reasoning_tokens),
    ):
        if tokens:
            metrics.TOKENS.labels(service, kind).inc(tokens)


def _count_tool(service: str, entry: Entry) -> None:
    metrics.TOOL_CALLS.labels(service, entry.metadata["status"]).inc()


def _count_error(service: str, entry: Entry) -> None:
    metrics.RUN_ERRORS.labels(service, entry.metadata["code"]).inc()


BY_EVENT: dict[str, Callable[[str, Entry], Any]] = {
    "agent.thinking": _count_reply,
    "agent.tool_result": _count_tool,
    "agent.error": _count_error,
}
