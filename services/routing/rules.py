"""Routing rules and what they decide about, as values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from agents.directory import Facts

__all__ = ["Candidate", "Condition", "Facts", "Operator", "Rule", "Strategy"]


class Operator(StrEnum):
    """How a condition compares. Those with `not` hold exactly where the other one does not."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    REGEX_MATCH = "regex_match"
    IN_LIST = "in_list"
    NOT_IN_LIST = "not_in_list"
    EXISTS = "exists"
    CIDR = "cidr"


class Strategy(StrEnum):
    """How one of several candidates is chosen (see `strategies`)."""

    ROUND_ROBIN = "round_robin"
    LEAST_CONNECTIONS = "least_connections"
    WEIGHTED_RANDOM = "weighted_random"
    HASH_BASED = "hash_based"
    TAG_BASED = "tag_based"
    MANUAL = "manual"


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
    """A service with a running process.

    `is_healthy`: one of them passed its last checks; one that is not is chosen only where no other
    can be. `connections`: the clients that it has now, on all servers.
    """

    name: str
    weight: int = 1
    tags: frozenset[str] = field(default_factory=frozenset)
    connections: int = 0
    is_healthy: bool = True
