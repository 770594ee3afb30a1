"""Routing rules and what they decide about, as values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.directory import Facts
from myagent.routing import ConditionOperator as Operator
from myagent.routing import RoutingStrategy as Strategy

__all__ = ["Candidate", "Condition", "Facts", "Operator", "Rule", "Strategy"]


Value = str | bool | tuple[str, ...]
"""A text; for `in_list`, `not_in_list` and `cidr` several; for `exists` whether it does."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` is one of `conditions.FIELDS`, or has one of `conditions.PREFIXES`."""

    field: str
    operator: Operator
    value: Value = ""
    case_sensitive: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """All `conditions` must hold; without any, it applies to everybody.

    Its candidates are the usable services that are among `services`, if it names any, and have all
    of `tags`. Rules apply by `priority`, the lowest number first; of those with the same number,
    the one with the highest `weight`.
    """

    rule_id: str
    name: str
    priority: int = 100
    weight: int = 1
    conditions: tuple[Condition, ...] = ()
    strategy: Strategy = Strategy.ROUND_ROBIN
    services: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    fallback_strategy: Strategy | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A service with a running process, or an external one that is open to clients.

    `is_healthy`: one of them passed its last checks; one that is not is chosen only where no other
    can be. `connections`: the clients that it has now, on all servers.
    """

    name: str
    weight: int = 1
    tags: frozenset[str] = field(default_factory=frozenset)
    connections: int = 0
    is_healthy: bool = True
