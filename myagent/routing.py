"""The words of routing rules, for programs and for the site."""

from __future__ import annotations

from enum import StrEnum


class RoutingStrategy(StrEnum):
    """How one of a rule's services is chosen."""

    ROUND_ROBIN = "round_robin"
    LEAST_CONNECTIONS = "least_connections"
    WEIGHTED_RANDOM = "weighted_random"
    HASH_BASED = "hash_based"
    TAG_BASED = "tag_based"
    MANUAL = "manual"


class ConditionOperator(StrEnum):
    """How a condition compares a client's field with its value.

    Those with `not` hold exactly where the other one does not.
    """

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
