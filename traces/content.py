"""What people may see of what was said and done in a run: all, a redacted form, or nothing."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from agents.runtime.limits import Seldom
from traces.models import MAX_EXCERPT, Trace

logger = structlog.get_logger(__name__)

Redact = Callable[[str], str]

HIDDEN = "•••"

_failures = Seldom(pause_s=30.0, at_once=2)


def excerpt(text: str, content: str) -> str:
    """The beginning of a text as a trace with that `content` keeps it."""
    if content == Trace.Content.OFF:
        return ""
    # The hook sees all that may be kept, and a word beyond.
    shown = shown_text(text[: 4 * MAX_EXCERPT], content)
    return shown if len(shown) <= MAX_EXCERPT else f"{shown[: MAX_EXCERPT - 1]}…"


def shown_text(text: str, content: str) -> str:
    """The text as somebody may see it. Where the operator's hook fails, nothing of it."""
    if content == Trace.Content.OFF:
        return ""
    return _redacted(text) if content == Trace.Content.REDACTED else text


def shown_name(name: str, content: str) -> str:
    """The same of a name that may have been made of what was said: something has to stand there."""
    return HIDDEN if content == Trace.Content.OFF else shown_text(name, content) or HIDDEN


def shown_value(value: Any, content: str) -> Any:
    """The same of a number or the like, which may be a secret as well.

    It stays what it is if the hook leaves its text alone.
    """
    if content != Trace.Content.REDACTED or value is None or isinstance(value, bool):
        return value
    shown = shown_text(str(value), content)
    return value if shown == str(value) else shown


def _redacted(text: str) -> str:
    """What the hook raises may quote the text: the log has its kind and its place alone."""
    try:
        shown = redact()(text)
    except Exception as error:
        why, at = type(error).__name__, place_of(error)
    else:
        if isinstance(shown, str):
            return shown
        why, at = f"returned {type(shown).__name__}", settings.MYAGENT_TRACE_REDACT
    if (left_out := _failures.take()) is not None:
        logger.error("text_not_redacted", error=why, at=at, left_out=left_out)
    return HIDDEN


def place_of(error: Exception) -> str:
    """File and line where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}"


@cache
def redact() -> Redact:
    """The operator's function, or one that hides everything. Raises `ImportError`."""
    path = settings.MYAGENT_TRACE_REDACT
    if not path:
        return lambda text: HIDDEN if text else ""
    hook: Redact = import_string(path)
    return hook
