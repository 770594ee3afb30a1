"""What people may see of what was said and done in a run: all, a redacted form, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from traces.models import MAX_EXCERPT, Trace

Redact = Callable[[str], str]


def excerpt(text: str, content: str) -> str:
    """The beginning of a text as a trace with that `content` keeps it."""
    if content == Trace.Content.OFF:
        return ""
    # The hook sees all that may be kept, and a word beyond.
    shown = shown_text(text[: 4 * MAX_EXCERPT], content)
    return shown if len(shown) <= MAX_EXCERPT else f"{shown[: MAX_EXCERPT - 1]}…"


def shown_text(text: str, content: str) -> str:
    """The text as somebody may see it. Raises what the operator's hook raises."""
    if content == Trace.Content.OFF:
        return ""
    return redact()(text) if content == Trace.Content.REDACTED else text


@cache
def redact() -> Redact:
    """The operator's function, or one that hides everything. Raises `ImportError`."""
    path = settings.MYAGENT_TRACE_REDACT
    if not path:
        return lambda text: "•••" if text else ""
    hook: Redact = import_string(path)
    return hook
