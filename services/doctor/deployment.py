"""Django's own checks, those for a deployment included."""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks
from django.utils.translation import gettext_noop

from services.doctor.finding import Finding, fine, problem, warning

JUDGED_HERE = frozenset(
    {"security.W009", "security.W018", "security.W025", "myagent.E003", "myagent.E013"}
)
"""What `configuration` and `reporting` say in words of their own."""


def look_at_checks() -> Iterator[Finding]:
    found = [
        message
        for message in checks.run_checks(include_deployment_checks=True)
        if not message.is_silenced() and message.id not in JUDGED_HERE
    ]
    for message in found:
        judged = problem if message.is_serious() else warning
        yield judged(
            "check",
            gettext_noop("{message} ({id})"),
            gettext_noop("{hint} See `manage.py check --deploy`."),
            message=message.msg,
            id=message.id,
            hint=message.hint or "",
        )
    if not found:
        yield fine("check", gettext_noop("`manage.py check --deploy` finds nothing."))
