"""Shows what an examination of the site found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext_noop

from services.cli.cells import Word
from services.cli.screen import Screen, as_json
from services.doctor.finding import Finding, Level
from services.telling import tell

COLUMNS = (
    gettext_noop("level"),
    gettext_noop("check"),
    gettext_noop("finding"),
    gettext_noop("what to do"),
)

LEVEL_WORDS = (gettext_noop("ok"), gettext_noop("warning"), gettext_noop("problem"))
"""See `Level`."""


def show(screen: Screen, findings: Sequence[Finding]) -> None:
    screen.table(
        COLUMNS,
        (
            (Word(each.level), each.check, tell(each.fact), _advice(each) or None)
            for each in findings
        ),
    )


def show_json(screen: Screen, findings: Sequence[Finding]) -> None:
    screen.say(
        as_json(
            {
                "problems": count(findings, Level.PROBLEM),
                "warnings": count(findings, Level.WARNING),
                "findings": [_json(each) for each in findings],
            }
        )
    )


def count(findings: Sequence[Finding], level: Level) -> int:
    return sum(each.level == level for each in findings)


def _json(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level,
        "check": finding.check,
        "finding": tell(finding.fact),
        "what_to_do": _advice(finding),
    }


def _advice(finding: Finding) -> str:
    return "" if finding.advice is None else tell(finding.advice).strip()
