"""Routing rules as JSON, the same for every interface, and their conditions in words."""

from __future__ import annotations

from typing import Any

from myagent.protocol import timestamp
from services.models import RoutingRule
from services.routing.rulebook import Registered, warnings_about
from services.routing.stored import UNREADABLE, conditions_of
from services.routing.wording import written

Json = dict[str, Any]


def rule_json(rule: RoutingRule, known: Registered) -> Json:
    """`known`: see `rulebook.registered`."""
    return {
        "rule_id": rule.pk,
        "name": rule.name,
        "description": rule.description,
        "priority": rule.priority,
        "weight": rule.weight,
        "enabled": rule.enabled,
        "conditions": rule.conditions,
        "target_strategy": rule.target_strategy,
        "target_services": rule.target_services,
        "target_tags": rule.target_tags,
        "fallback_strategy": rule.fallback_strategy or None,
        "created_at": timestamp(rule.created_at),
        "updated_at": timestamp(rule.updated_at),
        "warnings": warnings_about(rule, known),
    }


def conditions_in_words(rule: RoutingRule, separator: str) -> str:
    try:
        return separator.join(map(written, conditions_of(rule)))
    except UNREADABLE:
        return str(rule.conditions)
