"""The trace that a command names."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.utils.translation import gettext

from agents.terminal.inert import readable
from traces.models import Trace
from traces.reading import finding
from traces.reading.finding import NoTrace


def find(trace_id: str) -> Trace:
    """Raises `CommandError` if there is none."""
    try:
        return finding.find(trace_id, None)
    except NoTrace:
        said = gettext("There is no trace '{id}'.").format(id=readable(trace_id))
        raise CommandError(said) from None
