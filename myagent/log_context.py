"""The run that the current code works for, so that log lines can name it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

_run: ContextVar[dict[str, str] | None] = ContextVar("run", default=None)


def enter(session: str, run: str) -> None:
    """From now on this task, and the tasks and threads that it starts, work for that run."""
    _run.set({"session_id": session, "run_id": run})


def message(event: str, **fields: Any) -> tuple[str, tuple[Any, ...]]:
    """The template and values of a log line: the event, the run if there is one, and the fields."""
    named = (_run.get() or {}) | fields
    template = " ".join([event, *(f"{name}=%r" for name in named)])
    return template, tuple(named.values())
