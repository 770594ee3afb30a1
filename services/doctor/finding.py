"""What an examination finds: one line a fact, with what to do if it is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from myagent.sentence import Said
from services.telling import plain


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: a word for programs. `advice` is None where nothing need be done."""

    check: str
    level: Level
    fact: Said
    advice: Said | None = None


def fine(check: str, fact: str, **values: Any) -> Finding:
    """Texts are marked for translation; advice is given the values of the fact."""
    return Finding(check, Level.OK, _said(fact, values))


def warning(check: str, fact: str, advice: str, **values: Any) -> Finding:
    return Finding(check, Level.WARNING, _said(fact, values), _said(advice, values))


def problem(check: str, fact: str, advice: str, **values: Any) -> Finding:
    return Finding(check, Level.PROBLEM, _said(fact, values), _said(advice, values))


def _said(template: str, values: dict[str, Any]) -> Said:
    return Said(
        template,
        {
            name: value if isinstance(value, Said) else plain(value)
            for name, value in values.items()
        },
    )
