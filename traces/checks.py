"""Checks of the settings for traces, reported before anything starts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Error, register

from agents.checks import TAG
from traces.content import redact
from traces.exporting import destination


@register(TAG)
def check_limits(**_: Any) -> list[Error]:
    return [
        Error(f"{name} must not be negative.", id="myagent.E001")
        for name in ("MYAGENT_TRACE_DAYS", "MYAGENT_TRACE_SPANS")
        if getattr(settings, name) < 0
    ]


@register(TAG)
def check_redact(**_: Any) -> list[Error]:
    try:
        hook = redact()
        has_answered = isinstance(hook("a text"), str)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    else:
        reason = "" if has_answered else "it does not return a text"
    if not reason:
        return []
    sentence = f"MYAGENT_TRACE_REDACT names no function that takes a text: {reason}."
    return [Error(sentence, hint="Say package.module.function.", id="myagent.E020")]


@register(TAG)
def check_export(**_: Any) -> list[Error]:
    """Nothing of OpenTelemetry is imported for it."""
    if not settings.MYAGENT_TRACE_EXPORT:
        return []
    try:
        destination.configured()
    except destination.DestinationError as error:
        hint = "OTEL_TRACES_EXPORTER=none: traces are not sent."
        return [Error(str(error), hint=hint, id="myagent.E021")]
    return []
