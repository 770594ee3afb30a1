"""Checks of the settings for traces, reported before anything starts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.translation import gettext

from agents.checks import TAG
from traces.content import redact
from traces.exporting import destination
from traces.models import Trace


@register(TAG)
def check_limits(**_: Any) -> list[Error]:
    return [
        Error(gettext("{name} must not be negative.").format(name=name), id="myagent.E001")
        for name in ("MYAGENT_TRACE_DAYS", "MYAGENT_TRACE_SPANS")
        if getattr(settings, name) < 0
    ]


@register(TAG)
def check_redact(**_: Any) -> list[CheckMessage]:
    try:
        hook = redact()
        has_answered = isinstance(hook("a text"), str)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    else:
        reason = "" if has_answered else gettext("it does not return a text")
    if not reason:
        return _without_use()
    sentence = gettext("MYAGENT_TRACE_REDACT names no function that takes a text: {reason}.")
    hint = gettext("Say package.module.function.")
    return [Error(sentence.format(reason=reason), hint=hint, id="myagent.E020")]


def _without_use() -> list[CheckMessage]:
    """Whoever names a function believes that it is asked. Where nothing is shown, older traces may
    still need it.
    """
    if not settings.MYAGENT_TRACE_REDACT or settings.MYAGENT_TRACE_CONTENT != Trace.Content.ON:
        return []
    sentence = gettext(
        "MYAGENT_TRACE_REDACT hides nothing of new traces: that needs "
        "MYAGENT_TRACE_CONTENT=redacted."
    )
    return [Warning(sentence, id="myagent.W020")]


@register(TAG)
def check_export(**_: Any) -> list[Error]:
    """Nothing of OpenTelemetry is imported for it."""
    if not settings.MYAGENT_TRACE_EXPORT:
        return []
    try:
        destination.configured()
    except destination.DestinationError as error:
        hint = gettext("OTEL_TRACES_EXPORTER=none: traces are not sent.")
        return [Error(str(error), hint=hint, id="myagent.E021")]
    return []
