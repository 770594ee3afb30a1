"""Conditions as a line of text: `user_agent contains VIP`. No I/O.

A line is a field, an operator and the rest, which is the value; `/i` after the operator ignores
case. Lists are separated by commas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.routing.conditions import LISTS, texts
from services.routing.rules import Condition, Operator

ANY_CASE = "/i"


def written(condition: Condition) -> str:
    """The condition as a line."""
    value = condition.value
    if condition.operator is Operator.EXISTS:
        value = "" if value else "false"
    how = condition.operator.value + ("" if condition.case_sensitive else ANY_CASE)
    return f"{condition.field} {how} {', '.join(texts(value))}".rstrip()


def parsed(line: str) -> Mapping[str, Any]:
    """A line as the fields of a condition, which are still to be checked."""
    field, operator, value = [*line.strip().split(None, 2), "", "", ""][:3]
    found: dict[str, Any] = {
        "field": field,
        "operator": operator.removesuffix(ANY_CASE),
        "value": value,
        "case_sensitive": not operator.endswith(ANY_CASE),
    }
    if found["operator"] in LISTS:
        found["value"] = [text.strip() for text in value.split(",") if text.strip()]
    return found
