"""What the manager's calls cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from myagent.manager import verbs
from myagent.manager.fields import rule_changes
from myagent.manager.storage.models import (
    ConditionOperator,
    RoutingCondition,
    RoutingRule,
    RoutingStrategy,
)
from tests.ports import free_port
from tests.services import rows
from tests.services.measured import add_server

QUERIES = 7
"""Tags, services, instances, the site's address, the servers' reports, and two for observers."""


@pytest.mark.django_db
def test_ten_services_with_own_ports_are_listed_in_as_many_queries_as_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    add_server()
    rows.instance(rows.service("first", port=free_port()))
    with django_assert_num_queries(QUERIES):
        verbs.select(None, ())
    for number in range(9):
        rows.instance(rows.service(f"agent-{number}", port=free_port()))
    with django_assert_num_queries(QUERIES):
        listed = verbs.select(None, ())
    assert [len(each.instances) for each in listed] == [1] * 10


@pytest.mark.django_db
def test_a_rule_is_given_back_with_all_that_was_said() -> None:
    condition = RoutingCondition(
        field="client_ip", operator=ConditionOperator.CIDR, value=["10.0.0.0/8"]
    )
    rule = RoutingRule(
        name="all of it",
        description="Important.",
        priority=7,
        weight=3,
        enabled=False,
        conditions=(condition,),
        target_strategy=RoutingStrategy.HASH_BASED,
        target_services=("b", "a"),
        target_tags=frozenset({"eu"}),
        fallback_strategy=RoutingStrategy.MANUAL,
    )
    stored = verbs.add_rule(rule)
    assert verbs.rules() == [stored]
    assert replace(stored, rule_id="", warnings=()) == rule


@pytest.mark.django_db
def test_a_rule_is_changed_field_by_field_or_replaced_as_a_whole() -> None:
    added = verbs.add_rule(RoutingRule(name="vip", priority=1, target_services=("a",)))
    condition = RoutingCondition(field="user", operator=ConditionOperator.EQUALS, value="ada")
    changed = verbs.change_rule("vip", rule_changes({"enabled": False, "conditions": [condition]}))
    assert replace(changed, warnings=()) == replace(
        added, enabled=False, conditions=(condition,), warnings=()
    )
    renamed = verbs.replace_rule(RoutingRule(name="others", rule_id=added.rule_id))
    assert verbs.rules() == [renamed]
    assert renamed == RoutingRule(name="others", rule_id=added.rule_id, target_tags=frozenset())


@pytest.mark.django_db
def test_several_are_not_taken_for_one() -> None:
    with pytest.raises(TypeError):
        verbs.add_rule(RoutingRule(name="it", target_services="one"))


@pytest.mark.django_db
def test_rules_are_listed_in_two_queries(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(5):
        verbs.add_rule(RoutingRule(name=f"rule {number}"))
    with django_assert_num_queries(2):
        assert len(verbs.rules()) == 5
