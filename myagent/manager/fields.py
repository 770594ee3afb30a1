"""Turns a user's arguments into the fields that the site's verbs take."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from myagent.manager.errors import Refused
from myagent.manager.storage.models import RoutingCondition, RoutingRule, ServiceConfig

Environment = Mapping[str, str]

CONFIGURATION = (
    "max_sessions",
    "session_timeout_s",
    "auto_restart",
    "max_restart_count",
    "restart_delay_s",
    "memory_limit_mb",
    "python",
)


def service_fields(config: ServiceConfig, **given: Any) -> tuple[dict[str, Any], Environment]:
    """All fields of a service, and its environment. Raises `Refused`."""
    return _plain(_configuration(config) | given, config), config.environment or {}


def change_fields(
    config: ServiceConfig | None, given: dict[str, Any]
) -> tuple[dict[str, Any], Environment | None]:
    """The fields to change, and the environment if it is to change. Raises `Refused`."""
    changes = dict(given)
    environment = changes.pop("environment", None if config is None else config.environment)
    configuration = {} if config is None else _configuration(config)
    return _plain(configuration | changes, config), environment


def rule_fields(rule: RoutingRule) -> dict[str, Any]:
    """The fields of a rule that people set."""
    fields = dataclasses.asdict(rule)
    del fields["rule_id"], fields["warnings"]
    return rule_changes(fields)


def rule_changes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Some fields of a rule, as the site's verbs take them. Raises `TypeError`."""
    for name in ("target_services", "target_tags"):
        if isinstance(fields.get(name), str):
            raise TypeError(f"{name} are several strings: ['demo'], not 'demo'")
    conditions = fields.get("conditions")
    if conditions is None:
        return dict(fields)
    return {**fields, "conditions": list(map(_condition, conditions))}


def _condition(condition: RoutingCondition | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(condition, RoutingCondition):
        return dataclasses.asdict(condition)
    return condition


def _configuration(config: ServiceConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in CONFIGURATION}


def _plain(fields: dict[str, Any], config: ServiceConfig | None) -> dict[str, Any]:
    """The agent file from wherever it was named, and values of the verbs' own types."""
    path = os.fspath(fields.get("agent_factory_path", ""))
    other = config.agent_factory_path if config else ""
    if path and other and os.path.abspath(path) != os.path.abspath(other):
        raise Refused(
            "invalid",
            f"Two agent files are named, {path} and, in the config, {other}.",
            field="agent_factory_path",
        )
    if path or other:
        fields["agent_factory_path"] = path or os.fspath(other)
    if isinstance(fields.get("tags"), str):
        raise TypeError("tags are several strings: {'demo'}, not 'demo'")
    return fields
