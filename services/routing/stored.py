"""Stored rules as values. Synchronous."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from services.errors import ServiceError
from services.models import RoutingRule
from services.routing import rule_fields
from services.routing.deciding import in_order
from services.routing.rules import Condition, Operator, Rule, Strategy

logger = structlog.get_logger(__name__)

UNREADABLE = (ServiceError, ValueError, TypeError, KeyError, AttributeError)
"""What reading a rule raises that this version can't read, because another one stored it."""


def rules(*, enabled: bool = True) -> tuple[Rule, ...]:
    """The rules that are enabled, or those that are not, in the order in which they apply.

    One that this version can't read, because another one stored it, does not apply.
    """
    found = []
    for row in RoutingRule.objects.filter(enabled=enabled).defer("description"):
        try:
            found.append(rule_of(row))
        except UNREADABLE as error:
            logger.warning("routing_rule_not_read", rule=row.name, error=str(error))
    return in_order(found)


def rule_of(row: RoutingRule) -> Rule:
    """Raises `UNREADABLE` if it is not valid."""
    fallback = row.fallback_strategy
    return Rule(
        rule_id=row.pk,
        name=row.name,
        priority=row.priority,
        weight=row.weight,
        conditions=conditions_of(row),
        strategy=Strategy(row.target_strategy),
        services=tuple(row.target_services),
        tags=frozenset(row.target_tags),
        fallback_strategy=Strategy(fallback) if fallback else None,
    )


def conditions_of(row: RoutingRule) -> tuple[Condition, ...]:
    """Raises `UNREADABLE` if they are not valid."""
    return tuple(map(_condition, rule_fields.checked_conditions(row.conditions)))


def _condition(stored: Mapping[str, Any]) -> Condition:
    value = stored["value"]
    return Condition(
        stored["field"],
        Operator(stored["operator"]),
        tuple(value) if isinstance(value, list) else value,
        stored["case_sensitive"],
    )
